/** `npm run lua`: builds the Lua scripts. See --help. */
import { build, BUILD_HELP, pageIsFresh, readOptions, report, writeFiles } from './cli.js';

const options = readOptions(BUILD_HELP);
if (options) {
  const built = build(options.root);
  const good = report(built, options.check);
  if (!options.check) {
    const touched = writeFiles(options.root, built, good);
    if (good) process.stdout.write(`${built.scripts.length} scripts, ${touched.length} files written\n`);
  } else if (good) pageIsFresh(options.root, built);
}

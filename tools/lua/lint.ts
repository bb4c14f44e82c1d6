/** Checks the Lua scripts and registries. See --help. */
import { build, LINT_HELP, readOptions, report } from './cli.js';

const options = readOptions(LINT_HELP);
if (options) {
  const built = build(options.root);
  if (report(built, true)) process.stdout.write(`${built.scripts.length} scripts, no findings\n`);
}

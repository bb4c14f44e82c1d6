import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import pc from 'picocolors';
import { projectRoot } from '../stack/project.js';

/** Every file of `commands/` is one command: it exports `register(program)` and loads what is heavy only when it runs. */
interface CommandModule {
  register(program: Command): void;
}

/** The order in which `--help` lists them; what is not named here follows by alphabet. */
const ORDER = [
  'up',
  'down',
  'status',
  'token',
  'import',
  'export',
  'verify',
  'rebuild',
  'migrate',
  'acl',
  'doctor',
  'serve',
  'work',
];

async function loadCommands(program: Command): Promise<void> {
  const folder = new URL('./commands/', import.meta.url);
  const names = readdirSync(folder)
    .filter((file) => /^[a-z-]+\.(js|ts)$/.test(file))
    .map((file) => file.replace(/\.(js|ts)$/, ''))
    .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  for (const name of names) {
    const module = (await import(new URL(`${name}.js`, folder).href)) as CommandModule;
    module.register(program);
  }
}

function rank(name: string): number {
  const at = ORDER.indexOf(name);
  return at === -1 ? ORDER.length : at;
}

async function main(): Promise<void> {
  const { version } = JSON.parse(readFileSync(join(projectRoot(), 'package.json'), 'utf8')) as { version: string };
  const program = new Command('holdfast')
    .description('A Redis-native stock engine for flash sales and ticket on-sales')
    .version(version)
    .showSuggestionAfterError()
    .configureHelp({ subcommandTerm: (command) => command.name() });
  await loadCommands(program);
  if (process.argv.length <= 2) {
    program.outputHelp();
    return;
  }
  await program.parseAsync();
}

try {
  await main();
} catch (error) {
  // What a user can do something about has a message that says so; the trace is for the rest.
  const { message, stack } = error as Error;
  process.stderr.write(`${pc.red('error')} ${process.env.HOLDFAST_TRACE ? stack : message}\n`);
  process.exitCode = process.exitCode || 1;
}

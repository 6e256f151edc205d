// leasehold-server: reads which command it is given, and runs it. Without one it serves.

import { readFileSync } from 'node:fs';
import { nearest } from '@leasehold/program/option-values';
import { fail } from '@leasehold/program/shutdown';
import type { CommandContext } from './commands/command.js';

type Command = (context: CommandContext) => Promise<void>;

// Only what runs is loaded: of a start that shall take a second, the libraries of a store that is not used take a tenth.
const serve: Command = async (context) => (await import('./serve.js')).serve(context);
const COMMANDS = new Map<string, Command>([
  ['export', async (context) => (await import('./commands/export-command.js')).runExport(context)],
  ['import', async (context) => (await import('./commands/import-command.js')).runImport(context)],
  ['pki', async (context) => (await import('./commands/pki-command.js')).runPki(context)],
]);

async function main([name = '', ...rest]: readonly string[]): Promise<void> {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(manifest) as { readonly version: string };
  const { env, stdout, stderr } = process;
  if (name === '' || name.startsWith('-')) return serve({ version, args: process.argv.slice(2), env, stdout, stderr });
  const command = COMMANDS.get(name);
  if (command) return command({ version, args: rest, env, stdout, stderr });
  const known = nearest(name, [...COMMANDS.keys()]);
  return fail('leasehold-server', `unknown command ${name}, the nearest is ${known} (see --help)`, 2);
}

await main(process.argv.slice(2));

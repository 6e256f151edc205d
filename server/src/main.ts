// leasehold-server: reads which command it is given, and runs it. Without one it serves.

import { readFileSync } from 'node:fs';
import { nearest } from '@leasehold/program/option-values';
import { fail } from '@leasehold/program/shutdown';
import type { CommandContext } from './commands/command.js';
import { runExport } from './commands/export-command.js';
import { runImport } from './commands/import-command.js';
import { serve } from './serve.js';

type Command = (context: CommandContext) => Promise<void>;

const COMMANDS = new Map<string, Command>([
  ['export', runExport],
  ['import', runImport],
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

// Help at every level, made from the tables.

import { type Command, GLOBAL_FLAGS } from './command.js';
import { environmentName, type Flags, flagName } from './flags.js';
import { argName } from './parse.js';

const EXIT_CODES = `Exit codes:
  0  done
  1  refused by the server; doctor: there is a problem
  2  bad usage
  3  no connection, or no answer in time
`;

/** The help of what `path` names: the whole, a noun, or one command. */
export function help(path: readonly string[], commands: readonly Command[]): string {
  const here = commands.filter((command) => path.every((name, index) => command.path[index] === name));
  const [only] = here;
  if (only && here.length === 1 && only.path.length === path.length) return commandHelp(only);
  return groupHelp(path, here);
}

function groupHelp(path: readonly string[], commands: readonly Command[]): string {
  const rows = commands.map((command) => [`${command.path.join(' ')}${argsText(command)}`, command.summary] as const);
  return [
    `Usage: ${['leasehold', ...path].join(' ')} COMMAND [ARGUMENTS] [FLAGS]\n`,
    ...(path.length === 0
      ? ['Reserves IP addresses for virtual machines and looks after the DHCP servers that hand them out.\n']
      : []),
    `Commands:\n${columns(rows)}`,
    `Flags of every command:\n${flagsText(GLOBAL_FLAGS, environmentName)}`,
    EXIT_CODES,
    `See 'leasehold COMMAND --help' for arguments, flags and examples.\n`,
  ].join('\n');
}

function commandHelp(command: Command): string {
  const args = Object.entries(command.args).map(([key, arg]) => [argName(key), arg.help] as const);
  return [
    `Usage: leasehold ${command.path.join(' ')}${argsText(command)} [FLAGS]\n`,
    `${command.summary}.\n`,
    ...(args.length > 0 ? [`Arguments:\n${columns(args)}`] : []),
    ...(Object.keys(command.flags).length > 0 ? [`Flags:\n${flagsText(command.flags)}`] : []),
    `Flags of every command:\n${flagsText(GLOBAL_FLAGS, environmentName)}`,
    `Examples:\n${command.examples.map((example) => `  leasehold ${example}\n`).join('')}`,
  ].join('\n');
}

function argsText(command: Command): string {
  return Object.entries(command.args)
    .map(([key, { optional }]) => (optional ? ` [${argName(key)}]` : ` ${argName(key)}`))
    .join('');
}

function flagsText(flags: Flags, variableOf?: (key: string) => string): string {
  const rows = Object.entries(flags).map(([key, flag]) => {
    const byDefault = flag.defaultText === undefined ? '' : `, default ${flag.defaultText}`;
    const variable = variableOf ? ` [${variableOf(key)}]` : '';
    return [`--${flagName(key)}${flag.unit && ` ${flag.unit}`}`, `${flag.help}${byDefault}${variable}`] as const;
  });
  return columns(rows);
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join('');
}

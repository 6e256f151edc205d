// What may stand at the cursor of an unfinished command line: from the table of commands, and from the server where ids are
// asked for. It never fails: whoever presses Tab wants words or nothing.

import type { Leasehold } from '../connect.js';
import { LeaseholdError } from '../errors.js';
import { type Args, type Command, GLOBAL_FLAGS, type GlobalValues, PAGES } from './command.js';
import { type Flag, type Flags, flagName } from './flags.js';
import { type Environment, expandShort, type Sketch, sketch } from './parse.js';

/** A word that may stand there, and what it is. */
export interface Candidate {
  readonly word: string;
  readonly help: string;
}

/** What may stand at the cursor. */
export type Wanted =
  | { readonly kind: 'words'; readonly candidates: readonly Candidate[] }
  | { readonly kind: 'files' }
  | {
      readonly kind: 'ids';
      readonly of: 'network' | 'subnet' | 'host' | 'address';
      /** What stands on the line already: only of these. */
      readonly network: string | undefined;
      readonly subnet: string | undefined;
      readonly globals: GlobalValues;
    };

const NOTHING: Wanted = { kind: 'words', candidates: [] };

/** What may stand in place of the last of `words`, and what stands before it in the same word. */
export function wantedAt(
  words: readonly string[],
  env: Environment,
  commands: readonly Command[],
): { readonly wanted: Wanted; readonly prefix: string } {
  const current = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const pending = flagOf(before.at(-1) ?? '', sketch(before.slice(0, -1), env, commands));
  if (pending && pending.flag.unit !== '') {
    return { wanted: flagValue(pending.key, pending.flag, sketch(before.slice(0, -1), env, commands)), prefix: '' };
  }
  const line = sketch(before, env, commands);
  if (!line || line.ended) return { wanted: line?.command ? argumentOf(line) : NOTHING, prefix: '' };
  const [, name, value] = /^(--[^=]+=)(.*)$/s.exec(expandShort(current)) ?? [];
  if (name !== undefined && value !== undefined) {
    const inline = flagOf(name.slice(0, -1), line);
    const wanted = inline ? flagValue(inline.key, inline.flag, line) : NOTHING;
    return { wanted, prefix: current.slice(0, current.length - value.length) };
  }
  if (current.startsWith('-')) return { wanted: flagsOf(line, current), prefix: '' };
  return { wanted: line.command ? argumentOf(line) : commandsOf(line, commands), prefix: '' };
}

function flagsFor(line: Sketch | undefined): Flags {
  return { ...GLOBAL_FLAGS, ...line?.command?.flags };
}

function flagOf(
  word: string,
  line: Sketch | undefined,
): { readonly key: string; readonly flag: Flag<unknown> } | undefined {
  const name = /^--([^=]+)$/.exec(expandShort(word))?.[1];
  const [key, flag] = Object.entries(flagsFor(line)).find(([one]) => flagName(one) === name) ?? [];
  return key === undefined || flag === undefined || line?.ended ? undefined : { key, flag };
}

function flagsOf(line: Sketch, current: string): Wanted {
  const unused = Object.entries(flagsFor(line)).filter(([key, { repeatable }]) => repeatable || !line.given.has(key));
  const candidates = unused.map(([key, flag]) => ({ word: `--${flagName(key)}`, help: flag.help }));
  const negated = unused
    .filter(([, { unit }]) => unit === '' && current.startsWith('--no'))
    .map(([key, flag]) => ({ word: `--no-${flagName(key)}`, help: `Not: ${flag.help}` }));
  return {
    kind: 'words',
    candidates: [...candidates, ...negated, { word: '--help', help: 'Arguments, flags, examples' }],
  };
}

function commandsOf({ path }: Sketch, commands: readonly Command[]): Wanted {
  const here = commands.filter((command) => path.every((name, index) => command.path[index] === name));
  const found = new Map<string, string>();
  for (const { path: words, summary } of here) {
    const word = words[path.length] ?? '';
    const whole = words.length === path.length + 1;
    if (!found.has(word)) found.set(word, whole ? summary : `Commands about a ${word}`);
  }
  return { kind: 'words', candidates: Array.from(found, ([word, help]) => ({ word, help })) };
}

function argumentOf(line: Sketch): Wanted {
  const args: Args = line.command?.args ?? {};
  const [key, arg] = Object.entries(args)[line.positionals.length] ?? [];
  // What is created is not there yet.
  if (key === undefined || arg === undefined || line.path.at(-1) === 'create') return NOTHING;
  return arg.choices ? wordsOf(arg.choices) : idsOf(key, line);
}

function flagValue(key: string, { unit }: Flag<unknown>, line: Sketch | undefined): Wanted {
  if (unit.includes('|')) return wordsOf(unit.split('|'));
  if (unit === '') return wordsOf(['true', 'false']);
  return line ? idsOf(key, line) : NOTHING;
}

function wordsOf(words: readonly string[]): Wanted {
  return { kind: 'words', candidates: words.map((word) => ({ word, help: '' })) };
}

function idsOf(key: string, line: Sketch): Wanted {
  if (key === 'file') return { kind: 'files' };
  if (key !== 'network' && key !== 'subnet' && key !== 'host' && key !== 'address') return NOTHING;
  if (line.globals === undefined) return NOTHING;
  const subnetAt = Object.keys(line.command?.args ?? {}).indexOf('subnet');
  const subnet = line.given.get('subnet')?.at(-1) ?? (subnetAt < 0 ? undefined : line.positionals[subnetAt]);
  // Of a whole installation there may be a million.
  if (key === 'address' && subnet === undefined) return NOTHING;
  return { kind: 'ids', of: key, network: line.given.get('network')?.at(-1), subnet, globals: line.globals };
}

/** Ids that the server knows, the first thousand; none when it does not say. */
export async function readIds(
  leasehold: Leasehold,
  { of, network, subnet }: Extract<Wanted, { kind: 'ids' }>,
): Promise<readonly Candidate[]> {
  try {
    switch (of) {
      case 'network': {
        const { items } = await leasehold.networks.list(PAGES).page();
        return items.map(({ networkId, displayName }) => ({ word: networkId, help: displayName }));
      }
      case 'subnet': {
        const { items } = await leasehold.subnets.list({ networkId: network }, PAGES).page();
        return items.map(({ subnetId, cidr }) => ({ word: subnetId, help: cidr }));
      }
      case 'host': {
        const { items } = await leasehold.hosts.list({}, PAGES).page();
        return items.map(({ hostId, liveness }) => ({ word: hostId, help: liveness }));
      }
      case 'address': {
        const filter = { subnetId: subnet, state: 'reserved' } as const;
        const { items } = await leasehold.reservations.list(filter, PAGES).page();
        return items.map(({ address, owner, mac }) => ({ word: address, help: owner || mac }));
      }
    }
  } catch (error) {
    if (error instanceof LeaseholdError) return [];
    throw error;
  }
}

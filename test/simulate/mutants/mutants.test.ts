// Every mistake of the list is caught within its seeds, and without it the same seeds break nothing. It runs what was
// built: mistakes are made in the text of built modules.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { repositoryRoot } from '../../support/repository.js';
import { MUTANTS } from './list.js';
import { type Field, LOOKED_AT } from './listed.js';

// A bound for what hangs: a run takes a second of a processor that is its own.
const TIMEOUT_MS = 600_000;
const FIELDS = [...new Set(MUTANTS.map(({ field }) => field))];

// Several at a time: in the end this file has the machine to itself.
describe.concurrent.each(MUTANTS)('$name: $mistake', ({ name, caughtBy }) => {
  test('is caught', { timeout: TIMEOUT_MS }, async () => {
    const { code, output } = await simulate(['--mutant', name, '--lines', '0']);
    expect(code, output).toBe(0);
    expect(caughtBy, output).toContain(/^seed \d+: (\S+) at/m.exec(output)?.[1]);
  });
});

test.concurrent.each(FIELDS.filter((field) => !LOOKED_AT.includes(field)))(
  'nothing is broken without a mistake: %o',
  { timeout: TIMEOUT_MS },
  async (field) => {
    const { code, output } = await simulate(argumentsOf(field));
    expect(code, output).toBe(0);
  },
);

test('no two have the same name, or are the same', () => {
  const distinct = (texts: readonly string[]) => new Set(texts).size;
  expect(distinct(MUTANTS.map(({ name }) => name))).toBe(MUTANTS.length);
  expect(distinct(MUTANTS.map(({ module, edits, also }) => JSON.stringify({ module, edits, also })))).toBe(
    MUTANTS.length,
  );
});

function argumentsOf({ from, seeds, minutes, mood, hasGuests, scene }: Field): readonly string[] {
  return [
    ...['--from', String(from), '--seeds', String(seeds)],
    ...(minutes === undefined ? [] : ['--minutes', String(minutes)]),
    ...(mood === undefined ? [] : ['--mood', mood]),
    ...(hasGuests === undefined ? [] : ['--guests', hasGuests ? 'yes' : 'no']),
    ...(scene === undefined ? [] : ['--scene', scene]),
  ];
}

function simulate(args: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
  const main = join(repositoryRoot, 'test/dist/simulate/main.js');
  return new Promise((resolve) => {
    execFile(process.execPath, [main, '--workers', '1', ...args], (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, output: stdout + stderr });
    });
  });
}

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readLines } from './read-lines.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'read-lines-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

async function linesOf(content: string | Buffer): Promise<{ lines: string[]; shares: number[] }> {
  const path = join(directory, 'file');
  writeFileSync(path, content);
  const lines: string[] = [];
  const shares: number[] = [];
  for await (const some of readLines(path)) {
    lines.push(...some.lines);
    shares.push(some.share);
  }
  return { lines, shares };
}

test('lines are what stands between line ends, the last one also without', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ unit: 'grapheme' }).filter((line) => !line.includes('\n'))), async (all) => {
      expect((await linesOf(all.map((line) => `${line}\n`).join(''))).lines).toEqual(all);
      const last = all.at(-1);
      if (last !== undefined && last !== '') expect((await linesOf(all.join('\n'))).lines).toEqual(all);
    }),
    { numRuns: 30 },
  );
});

test('a file of many pieces is read whole, whatever character a piece ends in, and its share grows to all of it', async () => {
  const all = Array.from({ length: 60_000 }, (_, i) => `${i} ${'ü€😀'.repeat(i % 9)}`);
  const { lines, shares } = await linesOf(all.join('\n'));
  expect(lines).toEqual(all);
  expect(shares.length).toBeGreaterThan(2);
  expect(shares).toEqual(shares.toSorted((a, b) => a - b));
  expect(shares.at(-1)).toBe(1);
});

test('what is no text at all comes as a line that nobody takes for one, before all of it is in memory', async () => {
  const { lines } = await linesOf(Buffer.alloc(80 * 1_048_576));
  expect(lines).toHaveLength(1);
  expect(lines[0]?.length).toBeLessThan(70 * 1_048_576);
});

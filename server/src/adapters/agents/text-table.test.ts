import type { Ipv4 } from '@leasehold/proto/values';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TextTable } from './text-table.js';

test('it answers what a map would, whatever is set and deleted', () => {
  const address = fc.integer({ min: 0, max: 20 }).map((n) => n as Ipv4);
  const length = fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 65_534 }));
  const text = fc.tuple(fc.integer({ min: 0, max: 255 }), length).map(([c, n]) => String.fromCharCode(c).repeat(n));
  const step = fc.record({ address, text: fc.option(text, { nil: undefined }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const table = new TextTable();
      const model = new Map<Ipv4, string>();
      for (const each of steps) {
        if (each.text === undefined) {
          table.delete(each.address);
          model.delete(each.address);
        } else {
          table.set(each.address, each.text);
          model.set(each.address, each.text);
        }
        expect(table.size).toBe(model.size);
      }
      for (let n = 0 as Ipv4; n <= 20; n++) expect(table.get(n)).toBe(model.get(n));
      expect(new Map(table.entries())).toEqual(model);
    }),
  );
});

test('a text that is longer than what it can hold is refused, and changes nothing', () => {
  const table = new TextTable();
  table.set(1 as Ipv4, 'one');
  expect(() => table.set(2 as Ipv4, 'x'.repeat(65_535))).toThrow(RangeError);
  expect([...table.entries()]).toEqual([[1, 'one']]);
});

test('texts that change again and again take no more memory', () => {
  const before = process.memoryUsage().arrayBuffers;
  const table = new TextTable();
  for (let n = 0; n < 200_000; n++) table.set((1 + (n % 100)) as Ipv4, `text ${n}`.padEnd(500, '.'));
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50_000_000);
  expect(table.get(100 as Ipv4)).toMatch(/^text 199999\.+$/);
});

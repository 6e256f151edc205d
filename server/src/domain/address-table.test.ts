import type { Ipv4 } from '@leasehold/proto/values';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AddressTable } from './address-table.js';

test('it answers what a map would, whatever is set and deleted', () => {
  // Few addresses, so that they are met again, neighbours, and from everywhere in 32 bits.
  const address = fc
    .tuple(fc.constantFrom(0, 0x0a00000a, 0x7ffffff8, 0xffffffe6), fc.integer({ min: 0, max: 25 }))
    .map(([base, n]) => (base + n) as Ipv4);
  const value = fc.option(fc.integer({ min: 1, max: 0xffffffff }), { nil: undefined });
  fc.assert(
    fc.property(fc.array(fc.record({ address, value }), { maxLength: 200 }), (steps) => {
      const table = new AddressTable();
      const model = new Map<Ipv4, number>();
      for (const step of steps) {
        const before = model.get(step.address);
        if (step.value === undefined) {
          expect(table.delete(step.address)).toBe(before);
          model.delete(step.address);
        } else {
          expect(table.set(step.address, step.value)).toBe(before);
          model.set(step.address, step.value);
        }
        expect(table.get(step.address)).toBe(step.value);
        expect(table.size).toBe(model.size);
      }
      expect([...table.entries()].sort(([a], [b]) => a - b)).toEqual([...model].sort(([a], [b]) => a - b));
    }),
  );
});

test('addresses that come and go all over a network take no more memory', () => {
  const table = new AddressTable();
  const before = process.memoryUsage().arrayBuffers;
  for (let n = 0; n < 1_000_000; n++) {
    table.set((0x0a000000 + n * 16) as Ipv4, 1);
    if (n >= 100) table.delete((0x0a000000 + (n - 100) * 16) as Ipv4);
  }
  expect(table.size).toBe(100);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Bitmap } from './bitmap.js';

type Step =
  | { readonly op: 'set' | 'clear' | 'nextFree'; readonly at: number }
  | { readonly op: 'setRange' | 'clearRange'; readonly at: number; readonly to: number };

const step = (size: number): fc.Arbitrary<Step> => {
  const at = fc.nat(size - 1);
  return fc.oneof(
    { weight: 4, arbitrary: fc.record({ op: fc.constantFrom('set', 'clear', 'nextFree'), at }) },
    fc.record({ op: fc.constantFrom('setRange', 'clearRange'), at, to: at }),
  );
};

/** The same in the plainest way. */
class Model {
  readonly bits: boolean[];
  constructor(size: number) {
    this.bits = new Array<boolean>(size).fill(false);
  }
  run(step: Step): number | undefined {
    const { op, at } = step;
    if (op === 'nextFree') {
      const after = this.bits.indexOf(false, at);
      const found = after >= 0 ? after : this.bits.indexOf(false);
      return found >= 0 ? found : undefined;
    }
    const to = 'to' in step ? step.to : at;
    this.bits.fill(op === 'set' || op === 'setRange', Math.min(at, to), Math.max(at, to) + 1);
    return undefined;
  }
}

function run(bitmap: Bitmap, step: Step): number | undefined {
  if (step.op === 'nextFree') return bitmap.nextFree(step.at);
  if (step.op === 'setRange' || step.op === 'clearRange') {
    bitmap[step.op](Math.min(step.at, step.to), Math.max(step.at, step.to));
  } else bitmap[step.op](step.at);
  return undefined;
}

describe('Bitmap', () => {
  test('does what an array of booleans does', () => {
    const programs = fc
      .oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 3_000 }))
      .chain((size) => fc.record({ size: fc.constant(size), steps: fc.array(step(size), { maxLength: 60 }) }));
    fc.assert(
      fc.property(programs, ({ size, steps }) => {
        const bitmap = new Bitmap(size);
        const model = new Model(size);
        for (const each of steps) {
          expect(run(bitmap, each)).toBe(model.run(each));
          expect(bitmap.count).toBe(model.bits.filter(Boolean).length);
        }
        expect(Array.from({ length: size }, (_, i) => bitmap.has(i))).toEqual(model.bits);
        expect(run(bitmap, { op: 'nextFree', at: size - 1 })).toBe(model.run({ op: 'nextFree', at: size - 1 }));
      }),
    );
  });

  test('finds the very last clear bit from anywhere, and wraps around', () => {
    const bitmap = new Bitmap(65_536);
    bitmap.setRange(0, 65_535);
    expect(bitmap.nextFree(0)).toBeUndefined();
    bitmap.clear(40_000);
    expect([bitmap.nextFree(0), bitmap.nextFree(40_000), bitmap.nextFree(40_001)]).toEqual([40_000, 40_000, 40_000]);
  });

  test('of a /16 takes 8,460 bytes', () => {
    expect(new Bitmap(65_536).byteLength).toBe(8_460);
  });

  test('holds 2^24 bits and refuses more, and bits outside', () => {
    const bitmap = new Bitmap(2 ** 24);
    bitmap.setRange(0, 2 ** 24 - 2);
    expect(bitmap.nextFree(5)).toBe(2 ** 24 - 1);
    expect(bitmap.set(2 ** 24 - 1)).toBe(true);
    expect(bitmap.nextFree(5)).toBeUndefined();
    expect(() => new Bitmap(2 ** 24 + 1)).toThrow(RangeError);
    expect(() => bitmap.set(2 ** 24)).toThrow(RangeError);
  });
});

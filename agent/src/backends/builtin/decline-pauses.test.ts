import type { Mac } from '@leasehold/proto/values';
import { expect, test } from 'vitest';
import { DECLINE_FORGOTTEN_AFTER_MS, DeclinePauses } from './decline-pauses.js';

const A = '52:54:00:00:00:01' as Mac;
const B = '52:54:00:00:00:02' as Mac;

test('the pause doubles with every DECLINE, up to 8 s, for that MAC alone', () => {
  const pauses = new DeclinePauses();
  const seconds: number[] = [];
  for (let n = 0; n < 9; n++) {
    seconds.push(pauses.pauseMs(A, n) / 1_000);
    pauses.declined(A, n);
  }
  expect(seconds).toEqual([0, 1, 2, 4, 8, 8, 8, 8, 8]);
  expect(pauses.pauseMs(B, 9)).toBe(0);
});

test('ten minutes after the last DECLINE it is forgotten', () => {
  const pauses = new DeclinePauses();
  pauses.declined(A, 0);
  pauses.declined(A, 100);
  expect(pauses.pauseMs(A, 99 + DECLINE_FORGOTTEN_AFTER_MS)).toBe(2_000);
  expect(pauses.pauseMs(A, 100 + DECLINE_FORGOTTEN_AFTER_MS)).toBe(0);
  pauses.declined(A, 101 + DECLINE_FORGOTTEN_AFTER_MS);
  expect(pauses.pauseMs(A, 101 + DECLINE_FORGOTTEN_AFTER_MS)).toBe(1_000);
});

test('however many guests decline, a bounded number is remembered', () => {
  const pauses = new DeclinePauses();
  const macs = Array.from({ length: 1_001 }, (_, n) => `52:54:00:00:${(n >> 8).toString(16)}:${n & 255}` as Mac);
  for (const mac of macs) pauses.declined(mac, 0);
  expect(macs.filter((mac) => pauses.pauseMs(mac, 0) > 0)).toHaveLength(1);
});

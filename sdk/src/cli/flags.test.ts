import { expect, test } from 'vitest';
import { moment } from './flags.js';

const NOW_MS = Date.UTC(2026, 0, 2, 12);

function read(text: string): string | undefined {
  const parsed = moment('').parse([text]);
  return parsed.ok ? parsed.value(NOW_MS).toISOString() : undefined;
}

test.each([
  ['2026-01-02T12:00:00Z', '2026-01-02T12:00:00.000Z'],
  ['2026-01-02T12:00:00.123456789Z', '2026-01-02T12:00:00.123Z'],
  ['2026-01-02T12:00+02:00', '2026-01-02T10:00:00.000Z'],
  ['2024-02-29', '2024-02-29T00:00:00.000Z'],
  ['24h', '2026-01-01T12:00:00.000Z'],
  ['7d', '2025-12-26T12:00:00.000Z'],
  ['500ms', '2026-01-02T11:59:59.500Z'],
  ['999999999999999d', '1970-01-01T00:00:00.000Z'],
])('the point in time %s is %s', (text, time) => {
  expect(read(text)).toBe(time);
});

test.each([
  '',
  'yesterday',
  '-24h',
  '1.5h',
  '2026',
  '2026-02-29',
  '2026-02-30T12:00:00Z',
  '2026-13-01',
  '2026-01-02T25:00:00Z',
  '2026-01-02T12:00:00',
  '2026-01-02 12:00:00Z',
  'Fri, 02 Jan 2026 12:00:00 GMT',
])('%j is no point in time', (text) => {
  expect(read(text)).toBeUndefined();
});

import { describe, expect, test } from 'vitest';
import {
  durationWithin,
  formatDuration,
  formatEndpoint,
  formatSize,
  integerWithin,
  isLoopback,
  nearest,
  oneOf,
  parseDuration,
  parseListen,
  parseTarget,
  sizeWithin,
} from './option-values.js';

function accepted<T>(parsed: { ok: true; value: T } | { ok: false; problem: string }): T {
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.value;
}

describe('a size', () => {
  const any = sizeWithin(0, Number.MAX_SAFE_INTEGER);

  test.each([
    ['0', 0],
    ['65536', 65_536],
    ['256KiB', 262_144],
    ['1MiB', 1_048_576],
  ])('%s is %d bytes', (text, bytes) => {
    expect(accepted(any(text))).toBe(bytes);
  });

  test.each(['', 'KiB', '1.5MiB', '-1', '1kB', '1MB', '1M', ' 1KiB', '1 KiB', '1kib'])('%j is refused', (text) => {
    expect(any(text)).toEqual({ ok: false, problem: 'expected a size like 65536, 256KiB or 1MiB' });
  });

  test('outside its range is refused with the bound in the units people write', () => {
    const parse = sizeWithin(2_048, 1_048_576);
    expect(parse('2047')).toEqual({ ok: false, problem: 'must be at least 2KiB' });
    expect(parse('2MiB')).toEqual({ ok: false, problem: 'must be at most 1MiB' });
    expect([accepted(parse('2KiB')), accepted(parse('1024KiB'))]).toEqual([2_048, 1_048_576]);
  });

  test('is printed in the largest unit that divides it', () => {
    expect([0, 1_023, 1_024, 1_025, 1_048_576, 786_432].map(formatSize)).toEqual([
      '0',
      '1023',
      '1KiB',
      '1025',
      '1MiB',
      '768KiB',
    ]);
  });
});

describe('a duration', () => {
  test.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['15m', 900_000],
    ['24h', 86_400_000],
    ['90d', 7_776_000_000],
    ['0s', 0],
  ])('%s is %d ms', (text, ms) => {
    expect(accepted(parseDuration(text))).toBe(ms);
  });

  test.each(['', '30', 's', '1.5h', '-1s', '1h30m', ' 1s', '1w', '1S'])('%j is refused', (text) => {
    expect(parseDuration(text).ok).toBe(false);
  });

  test('outside its range is refused with the bound in the units people write', () => {
    const parse = durationWithin({ min: 60_000, max: 7 * 86_400_000 });
    expect(parse('59s')).toEqual({ ok: false, problem: 'must be at least 1m' });
    expect(parse('8d')).toEqual({ ok: false, problem: 'must be at most 7d' });
    expect(accepted(parse('7d'))).toBe(604_800_000);
  });

  test.each([
    [90_000, '90s'],
    [0, '0ms'],
    [1_500, '1500ms'],
  ])('%d ms is printed %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});

describe('an endpoint', () => {
  test.each([
    ['127.0.0.1:7067', { kind: 'tcp', host: '127.0.0.1', port: 7067 }],
    ['[::1]:0', { kind: 'tcp', host: '::1', port: 0 }],
    ['localhost:1', { kind: 'tcp', host: 'localhost', port: 1 }],
    ['unix:/run/a.sock', { kind: 'unix', path: '/run/a.sock' }],
    ['unix:relative', { kind: 'unix', path: 'relative' }],
  ])('%s is read and printed as it was', (text, endpoint) => {
    expect(accepted(parseListen(text))).toEqual(endpoint);
    expect(formatEndpoint(accepted(parseListen(text)))).toBe(text);
  });

  test.each([
    '',
    ':7067',
    '*:7067',
    '7067',
    '127.0.0.1',
    '127.0.0.1:65536',
    '127.0.0.1:',
    '010.0.0.1:1',
    '10.0.0.999:1',
  ])('%j is neither listened on nor dialled', (text) => {
    expect(parseListen(text).ok).toBe(false);
    expect(parseTarget(text).ok).toBe(false);
  });

  test.each(['::1:7067', '[127.0.0.1]:1', '[fe80::1%eth0]:1', 'unix:', `unix:/${'x'.repeat(107)}`])(
    '%j is refused',
    (text) => {
      expect(parseTarget(text).ok).toBe(false);
    },
  );

  test('a host name is dialled but not listened on', () => {
    expect(accepted(parseTarget('ipam-1.example.org:7069'))).toEqual({
      kind: 'tcp',
      host: 'ipam-1.example.org',
      port: 7069,
    });
    expect(parseListen('ipam-1.example.org:7069').ok).toBe(false);
  });

  test('port 0 is not dialled', () => {
    expect(parseTarget('127.0.0.1:0')).toEqual({ ok: false, problem: 'port 0 cannot be dialled' });
  });

  test.each([
    ['127.0.0.1:1', true],
    ['127.255.0.9:1', true],
    ['[::1]:1', true],
    ['[0:0:0:0:0:0:0:1]:1', true],
    ['localhost:1', true],
    ['unix:x', true],
    ['0.0.0.0:1', false],
    ['[::]:1', false],
    ['10.0.0.1:1', false],
    ['[::ffff:127.0.0.1]:1', false],
    ['127.example.org:1', false],
  ])('%s being loopback is %s', (text, expected) => {
    expect(isLoopback(accepted(parseTarget(text)))).toBe(expected);
  });
});

test('a whole number keeps to its range and its form', () => {
  const parse = integerWithin(0, 16);
  expect(accepted(parse('16'))).toBe(16);
  for (const text of ['17', '-1', '1.0', '0x1', '', '1e1']) {
    expect(parse(text)).toEqual({ ok: false, problem: 'expected a whole number from 0 to 16' });
  }
});

test('a wrong choice names the choices and the nearest', () => {
  expect(oneOf(['json', 'pretty'])('jsno')).toEqual({
    ok: false,
    problem: 'expected json or pretty, the nearest is json',
  });
});

test('the nearest name has the fewest edits', () => {
  expect(nearest('--lisen', ['--agent-listen', '--listen', '--store'])).toBe('--listen');
  expect(nearest('agentlisten', ['agent-listen', 'listen'])).toBe('agent-listen');
});

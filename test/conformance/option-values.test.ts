// The SDK and its command line depend on nothing of the repository, so they have their own readers of addresses, spans
// of time, switches and mistyped names. An operator uses both in one breath: they must read the same text the same way.

import { editDistance, isLoopback, nearest, parseDuration, parseTarget } from '@leasehold/program/option-values';
import { readOptions, toggle } from '@leasehold/program/options';
import { describe, expect, test } from 'vitest';
import * as flags from '../../sdk/src/cli/flags.js';
import * as sdkNearest from '../../sdk/src/cli/nearest.js';
import { parseServerAddress } from '../../sdk/src/server-address.js';

const LONG = 'a'.repeat(107);

describe('an address to dial', () => {
  test.each([
    ['127.0.0.1:7067', 'loopback'],
    ['127.255.0.9:1', 'loopback'],
    ['localhost:65535', 'loopback'],
    ['[::1]:7067', 'loopback'],
    ['[0:0:0:0:0:0:0:1]:7067', 'loopback'],
    ['[::0:1]:7067', 'loopback'],
    ['unix:/run/leasehold.sock', 'loopback'],
    ['unix:relative', 'loopback'],
    [`unix:${LONG}`, 'loopback'],
    ['10.0.0.1:7067', 'network'],
    ['0.0.0.0:7067', 'network'],
    ['[::]:7067', 'network'],
    ['[::ffff:127.0.0.1]:7067', 'network'],
    ['[2001:db8::1]:7067', 'network'],
    ['leasehold.example.org:7067', 'network'],
    ['localhost.example.org:7067', 'network'],
    ['127.0.0.1.example.org:7067', 'network'],
    ['LOCALHOST:7067', 'network'],
    ['', 'refused'],
    ['localhost', 'refused'],
    [':7067', 'refused'],
    ['127.0.0.1:0', 'refused'],
    ['127.0.0.1:65536', 'refused'],
    ['127.0.0.1:x', 'refused'],
    ['127.1:7067', 'refused'],
    ['10.0.0.999:7067', 'refused'],
    ['::1:7067', 'refused'],
    ['[::1', 'refused'],
    ['[127.0.0.1]:7067', 'refused'],
    ['[fe80::1%eth0]:7067', 'refused'],
    ['-a:7067', 'refused'],
    ['a_b:7067', 'refused'],
    ['http://localhost:7067', 'refused'],
    ['dns:localhost:7067', 'refused'],
    ['10.0.0.1:7069,10.0.0.2:7069', 'refused'],
    ['unix:', 'refused'],
    ['unix:/run/a.sock,unix:/run/b.sock', 'refused'],
    [`unix:${LONG}a`, 'refused'],
  ])('%j is %s to both', (text, expected) => {
    const target = parseTarget(text);
    const address = parseServerAddress(text);
    const where = (local: boolean) => (local ? 'loopback' : 'network');
    expect(target.ok ? where(isLoopback(target.value)) : 'refused').toBe(expected);
    expect(address.ok ? where(address.value.local) : 'refused').toBe(expected);
  });
});

describe('a span of time', () => {
  const DAY_MS = 86_400_000;
  const ofCommandLine = flags.milliseconds('', '1s');

  test.each([
    ['1ms', 1],
    ['500ms', 500],
    ['30s', 30_000],
    ['015m', 900_000],
    ['24h', DAY_MS],
    ['1d', DAY_MS],
    ['0000000000001s', 1_000],
    ['0s', undefined],
    ['2d', undefined],
    ['', undefined],
    ['10', undefined],
    ['s', undefined],
    ['1.5s', undefined],
    ['-1s', undefined],
    ['1 s', undefined],
    ['1S', undefined],
    ['1m30s', undefined],
    ['1w', undefined],
  ])('%j is %s ms to both', (text, ms) => {
    const one = parseDuration(text, { min: 1, max: DAY_MS });
    const other = ofCommandLine.parse([text]);
    expect(one.ok ? one.value : undefined).toBe(ms);
    expect(other.ok ? other.value : undefined).toBe(ms);
  });
});

describe('a switch', () => {
  const program = { name: 'x', version: '', summary: '', options: { on: toggle({ help: '' }) }, examples: [] };

  test.each([
    ['true', true],
    ['1', true],
    ['false', false],
    ['0', false],
    ['yes', undefined],
    ['TRUE', undefined],
    [' true', undefined],
  ])('%j is %s to both', (text, expected) => {
    const one = readOptions(program, { args: [], env: { LEASEHOLD_ON: text } });
    const other = flags.toggle('').parse([text]);
    expect(one.kind === 'run' ? one.options.on : undefined).toBe(expected);
    expect(other.ok ? other.value : undefined).toBe(expected);
  });
});

describe('a mistyped name', () => {
  test.each([
    ['listen', 'listen', 0],
    ['lisen', 'listen', 1],
    ['listten', 'listen', 1],
    ['lisfen', 'listen', 1],
    ['netwrok', 'network', 1],
    ['ca', 'abc', 3],
    ['', 'abc', 3],
    ['server', 'log-level', 7],
  ])('from %j to %j it is %i edits to both', (from, to, edits) => {
    expect(editDistance(from, to)).toBe(edits);
    expect(sdkNearest.editDistance(from, to)).toBe(edits);
    expect(editDistance(to, from)).toBe(edits);
  });

  test.each([
    ['sevrer', ['state-dir', 'server', 'store'], 'server'],
    ['lits', ['last', 'list'], 'list'],
    ['aa', ['ab', 'ac'], 'ab'],
  ])('%j of %j is meant to be %s by both', (wrong, candidates, meant) => {
    expect(nearest(wrong, candidates)).toBe(meant);
    expect(sdkNearest.nearest(wrong, candidates)).toBe(meant);
  });
});

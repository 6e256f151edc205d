import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Network } from '../domain/network.js';
import type { Slot } from '../domain/slot.js';
import {
  arbitraryAudit,
  arbitraryEnded,
  arbitraryHost,
  arbitraryNetwork,
  arbitrarySlot,
} from '../testing/arbitrary-documents.js';
import { type Line, printLine, readLine } from './lines.js';

const line: fc.Arbitrary<Line> = fc.oneof(
  arbitraryNetwork.map((content): Line => ({ kind: 'network', content })),
  arbitraryHost.map((content): Line => ({ kind: 'host', content })),
  arbitrarySlot.map((content): Line => ({ kind: 'slot', content })),
  arbitraryEnded.map((content): Line => ({ kind: 'ended', content })),
  arbitraryAudit.map((content): Line => ({ kind: 'audit', content })),
);

function problemOf(printed: string): string {
  const read = readLine(printed);
  return read.ok ? 'it was read' : read.problem;
}

describe('a line', () => {
  test('reads back as what was printed, on one line', () => {
    fc.assert(
      fc.property(line, (each) => {
        const printed = printLine(each);
        expect(printed).not.toContain('\n');
        expect(readLine(printed)).toEqual({ ok: true, value: each });
      }),
    );
  });

  test('makes objects whose fields come in the order of the documents, on which etags rest', () => {
    fc.assert(
      fc.property(arbitraryNetwork, (content) => {
        const read = readLine(printLine({ kind: 'network', content }));
        const subnets = (value: Network) => value.subnets.map(({ cidr: c, routes, options: o }) => [c, routes, o]);
        expect(JSON.stringify(read.ok && subnets(read.value.content as Network))).toBe(
          JSON.stringify(subnets(content)),
        );
      }),
    );
  });

  test('with any field taken out is refused, or means that the field is empty', () => {
    fc.assert(
      fc.property(line, fc.nat(), (each, n) => {
        const members = Object.entries(JSON.parse(printLine(each)) as object)[0] as [string, object];
        const names = Object.keys(members[1]);
        const gone = names[n % names.length] as string;
        const rest = Object.fromEntries(Object.entries(members[1]).filter(([name]) => name !== gone));
        const read = readLine(JSON.stringify({ [members[0]]: rest }));
        if (read.ok) expect(Object.keys(JSON.parse(printLine(read.value))[members[0]] as object)).not.toContain(gone);
        else expect(read.problem).toBe(`${members[0]}: field ${gone} is missing`);
      }),
    );
  });

  const SLOT = printLine({ kind: 'slot', content: fc.sample(arbitrarySlot, { seed: 1, numRuns: 1 })[0] as Slot });
  const changed = (change: (slot: Record<string, unknown>) => void) => {
    const { slot: content } = JSON.parse(SLOT) as { slot: Record<string, unknown> };
    change(content);
    return JSON.stringify({ slot: content });
  };

  test.each([
    ['no JSON', '{"slot":', 'not a line of JSON: the file is damaged'],
    ['nothing', '', 'not a line of JSON: the file is damaged'],
    ['a number', '7', 'expected an object with one of leasehold_export, network, host, slot, ended, audit, end'],
    ['an unknown kind', '{"slott":{}}', 'expected an object with one of'],
    ['two kinds', '{"slot":{},"ended":{}}', 'expected an object with one of'],
    ['no content', '{"slot":null}', 'slot: expected an object, not "null"'],
    ['an unknown field', changed((each) => Object.assign(each, { colour: 'red' })), 'slot: unknown field "colour"'],
    ['a MAC in capitals', changed((each) => Object.assign(each, { mac: '52:54:00:AA:BB:CC' })), 'slot.mac: '],
    ['a MAC of a group', changed((each) => Object.assign(each, { mac: '01:54:00:aa:bb:cc' })), 'slot.mac: '],
    ['an address that is none', changed((each) => Object.assign(each, { address: '10.0.0.256' })), 'slot.address: '],
    ['an address as a number', changed((each) => Object.assign(each, { address: 7 })), 'slot.address: expected a text'],
    ['an id that is none', changed((each) => Object.assign(each, { network_id: 'a b' })), 'slot.network_id: '],
    [
      'a time without its zone',
      changed((each) => Object.assign(each, { create_time: '2026-01-01' })),
      'slot.create_time: ',
    ],
    [
      'a state that is none',
      changed((each) => Object.assign(each, { state: 'free' })),
      'slot.state: expected "reserved" or',
    ],
    ['a revision of nothing', changed((each) => Object.assign(each, { revision: 0 })), 'slot.revision: '],
    ['half a number', changed((each) => Object.assign(each, { chain_counter: 0.5 })), 'slot.chain_counter: '],
    [
      'labels that are no texts',
      changed((each) => Object.assign(each, { labels: { a: 1 } })),
      'slot.labels: "a" is "1"',
    ],
    ['a list that is none', changed((each) => Object.assign(each, { options: {} })), 'slot.options: expected a list'],
    [
      'an option without its value',
      changed((each) => Object.assign(each, { options: [{ code: 7 }] })),
      'slot.options.[0]: field value is missing',
    ],
    [
      'a header of a newer format, whatever else is in it',
      '{"leasehold_export":{"version":3,"new":true}}',
      'the export was made by a newer leasehold-server (format 3, this one knows 2): import it with that one',
    ],
  ])('is refused with %s', (_, printed, problem) => {
    expect(problemOf(printed)).toContain(problem);
  });
});

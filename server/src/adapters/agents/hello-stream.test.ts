// What a stranger can make the server keep, and for how long.

import { Hello, SessionRequest, TableState } from '@leasehold/proto/ipam/v1/session';
import { beforeEach, describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../../test/fakes/virtual-clock.js';
import type { IpamError } from '../../domain/errors.js';
import type { HostId } from '../../domain/ids.js';
import { HelloStream } from './hello-stream.js';
import { AgentSession } from './session.js';

let clock: VirtualClock;
let begun: Hello[];
let received: SessionRequest[];
let ended: IpamError[];
let stream: HelloStream;
let openFor: (hostId?: string) => void;

beforeEach(() => {
  clock = new VirtualClock();
  begun = [];
  received = [];
  ended = [];
  const link = { send: () => undefined, end: (error: IpamError | undefined) => void (error && ended.push(error)) };
  const owner = {
    async begin(_link: unknown, hello: Hello) {
      begun.push(hello);
      const tables = () => {
        throw new Error('No table is needed');
      };
      return new AgentSession('h1' as HostId, { holderEpoch: 1n, counter: 1n }, link, tables, [], [], () => 0);
    },
    received(_session: AgentSession, request: SessionRequest) {
      received.push(request);
      return undefined;
    },
    ended: () => undefined,
  };
  openFor = (hostId) => {
    stream = new HelloStream(link, owner, clock, hostId);
  };
  openFor();
});

function say(part: Parameters<typeof Hello.fromPartial>[0]): void {
  stream.receive({ message: { $case: 'hello', value: Hello.fromPartial({ hostId: 'h1', ...part }) } });
}

const attachments = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => ({ networkId: `n${from + i}`, interface: `br${from + i}`, ready: true }));
const tables = (count: number) => Array.from({ length: count }, (_, i) => ({ networkId: `n${i}` }));

describe('a hello', () => {
  test('is put together from its parts, in their order', () => {
    say({ agentVersion: '1', attachments: attachments(2), tables: tables(1) });
    say({ attachments: attachments(1, 2), last: true });
    expect(begun.map(({ agentVersion }) => agentVersion)).toEqual(['1']);
    expect(begun[0]?.attachments.map(({ networkId }) => networkId)).toEqual(['n0', 'n1', 'n2']);
    expect(begun[0]?.tables.map(({ networkId }) => networkId)).toEqual(['n0']);
  });

  test('of every VLAN, with a table of each, is taken', () => {
    for (let i = 0; i < 4; i++)
      say({ attachments: attachments(1_024, i * 1_024), tables: tables(1_024), last: i === 3 });
    expect(ended).toEqual([]);
    expect(begun[0]?.tables).toHaveLength(4_096);
  });

  test('of more than 10,000 entries is refused before its last part', () => {
    for (let i = 0; i < 11; i++) say({ tables: tables(1_000) });
    expect(ended.map(({ message }) => message)).toEqual(['hello: More than 10000 attachments and tables']);
  });

  test('that is not whole within 10 s ends the stream, however many parts come', async () => {
    for (let i = 0; i < 9; i++) {
      say({});
      await clock.advance(1_000);
    }
    expect(ended).toEqual([]);
    await clock.advance(1_000);
    expect(ended.map(({ kind, violations }) => [kind, violations[0]?.field])).toEqual([['invalid-field', 'hello']]);
    say({ last: true });
    expect(begun).toEqual([]);
  });

  test('that is whole has its session for as long as it lasts', async () => {
    say({ last: true });
    await clock.advance(60_000);
    expect(ended).toEqual([]);
  });

  test('of a stream that broke leaves no timer behind', () => {
    stream.closed();
    expect(clock.nextDue()).toBeUndefined();
  });

  test.each<[string, Parameters<typeof Hello.fromPartial>[0]]>([
    ['host_id', { hostId: 'H 1' }],
    ['failure_domain', { failureDomain: 'x'.repeat(64) }],
    ['failure_domain', { failureDomain: 'rack\n1' }],
    ['backend', { backend: 'x'.repeat(64) }],
    ['agent_version', { agentVersion: 'x'.repeat(65) }],
    ['attachments', { attachments: attachments(4_097) }],
    ['attachments[0].network_id', { attachments: [{ networkId: 'x'.repeat(1_000), interface: 'br0' }] }],
    ['tables[0].network_id', { tables: [{ networkId: 'x'.repeat(1_000) }] }],
    ['tables[0].network_uid', { tables: [{ networkId: 'n', networkUid: 'x'.repeat(1_000) }] }],
    ['tables[0].digest', { tables: [{ networkId: 'n', digest: Buffer.alloc(65) }] }],
  ])('with a wrong %s is refused at its first part', (field, part) => {
    say(part);
    expect(ended.map(({ violations }) => violations[0]?.field)).toEqual([field]);
  });

  test('keeps no more of a reason than is worth it', () => {
    const reason = 'x'.repeat(100_000);
    const [attachment, table] = [
      { networkId: 'n', interface: 'br0', reason },
      { networkId: 'n', reason },
    ];
    say({ attachments: [attachment], tables: [table], last: true });
    expect(begun[0]?.attachments[0]?.reason).toHaveLength(256);
    expect(begun[0]?.tables[0]?.reason).toHaveLength(256);
  });
});

describe('a session', () => {
  const table = (more: Partial<TableState>) => TableState.fromPartial({ networkId: 'n', ...more });

  beforeEach(async () => {
    say({ last: true });
    await clock.advance(0);
  });

  test('hears of tables with reasons that are cut', () => {
    const long = table({ reason: 'x'.repeat(100_000) });
    stream.receive(SessionRequest.fromPartial({ message: { $case: 'heartbeat', value: { tables: [long] } } }));
    stream.receive(SessionRequest.fromPartial({ message: { $case: 'deliveryAck', value: { table: long } } }));
    const reasons = received.map(({ message }) => {
      if (message?.$case === 'heartbeat') return message.value.tables[0]?.reason.length;
      return message?.$case === 'deliveryAck' ? message.value.table?.reason.length : undefined;
    });
    expect(reasons).toEqual([256, 256]);
  });

  test('ends when it says what no table can be', () => {
    const wrong = table({ digest: Buffer.alloc(65) });
    stream.receive(SessionRequest.fromPartial({ message: { $case: 'heartbeat', value: { tables: [wrong] } } }));
    expect(received).toEqual([]);
    expect(ended.map(({ violations }) => violations[0]?.field)).toEqual(['tables[0].digest']);
  });
});

describe('who may speak for one host alone', () => {
  const own = { kind: 'permission-denied', metadata: { caller: 'host/h1' } };

  test('says hello for it', () => {
    openFor('h1');
    say({ last: true });
    expect([begun.length, ended]).toEqual([1, []]);
  });

  test('is denied another, also in a later part', () => {
    openFor('h1');
    say({ hostId: 'h2', last: true });
    expect([begun, ended]).toMatchObject([[], [own]]);
    openFor('h1');
    say({ attachments: attachments(1) });
    say({ hostId: 'h2', last: true });
    expect([begun, ended]).toMatchObject([[], [own, own]]);
  });
});

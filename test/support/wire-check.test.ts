import { expect, test } from 'vitest';
import {
  type CarriedMessage,
  checkWire,
  stateOf,
  type WireExceptions,
  type WireFact,
  type WireRecord,
} from './wire-check.js';

const [M1, M2, H1, H2] = ['52:54:00:00:00:01', '52:54:00:00:00:02', '02:00:00:00:00:01', '02:00:00:00:00:02'];
const [A, B, SERVER, ANYONE, UNSET] = ['10.0.0.5', '10.0.0.6', '169.254.1.1', '255.255.255.255', '0.0.0.0'];

const NO_EXCEPTIONS: WireExceptions = {
  naksForOthers: false,
  naksByUnicast: false,
  informsAnywhere: false,
  answersRelays: false,
};

type Change = Partial<Omit<CarriedMessage, 'kind' | 'type'>>;

function asked(type: CarriedMessage['type'], change: Change = {}): CarriedMessage {
  const mac = change.mac ?? M1;
  const none = { ciaddr: UNSET, yiaddr: UNSET, source: UNSET, destination: ANYONE };
  return { kind: 'message', type, sender: mac, xid: 1, mac, ...none, ...change };
}

function answered(type: 'offer' | 'ack' | 'nak', change: Change = {}): CarriedMessage {
  const yiaddr = type === 'nak' ? UNSET : A;
  return asked(type, { sender: H1, source: SERVER, server: SERVER, yiaddr, ...change });
}

function fact(kind: 'reserving' | 'reserved' | 'releasing' | 'released', mac = M1, address = A): WireFact {
  return { kind, mac, address };
}

const discover = asked('discover');
const selecting = asked('request', { requested: A, server: SERVER });
const rebooting = (requested: string) => asked('request', { requested });
const serves: WireFact = { kind: 'serves', sender: H1 };
const ended: WireFact = { kind: 'ended', sender: H1 };
const begin: readonly WireRecord[] = [serves, fact('reserving'), fact('reserved')];
const bound: readonly WireRecord[] = [...begin, discover, answered('offer'), selecting, answered('ack')];

function rules(...records: readonly WireRecord[]): readonly string[] {
  return checkWire(records).map(({ rule, at }) => `${rule} at ${at}`);
}

test('nothing is wrong about a guest that boots, renews, informs itself and is refused another address', () => {
  const renewing = asked('request', { ciaddr: A, source: A, destination: SERVER, xid: 2 });
  const inform = asked('inform', { ciaddr: A, source: A, xid: 3 });
  expect(
    rules(
      ...bound,
      renewing,
      answered('ack', { xid: 2, ciaddr: A, destination: A }),
      inform,
      answered('ack', { xid: 3, yiaddr: UNSET, destination: A }),
      rebooting(B),
      answered('nak'),
      asked('release', { ciaddr: A, server: SERVER }),
      asked('discover', { mac: M2 }),
    ),
  ).toEqual([]);
});

test('nor about two servers that both answer, and a change of which they learn one after the other', () => {
  expect(
    rules(
      ...bound,
      { kind: 'serves', sender: H2 },
      discover,
      answered('offer'),
      answered('offer', { sender: H2 }),
      fact('releasing'),
      rebooting(A),
      answered('ack', { sender: H2 }),
      answered('nak'),
      fact('released'),
      fact('reserving', M1, B),
      rebooting(A),
      answered('nak'),
      rebooting(B),
      answered('ack', { yiaddr: B }),
      fact('reserving', M2, A),
      asked('discover', { mac: M2 }),
      answered('offer', { mac: M2 }),
    ),
  ).toEqual([]);
});

test('W1: an address that is not reserved for the MAC', () => {
  expect(rules(...begin, discover, answered('offer', { yiaddr: B }))).toEqual(['W1 at 4']);
  expect(rules(...bound, fact('released'), fact('reserved', M1, B), rebooting(A), answered('ack'))).toContain(
    'W1 at 10',
  );
});

test('W1: an earlier address of the MAC after a later one, and back only when it is reserved anew', () => {
  const later = [...bound, fact('releasing'), fact('reserving', M1, B), discover, answered('offer', { yiaddr: B })];
  expect(rules(...later)).toEqual([]);
  expect(rules(...later, answered('offer'))).toEqual(['W1 at 11']);
  expect(rules(...later, fact('reserving'), answered('offer'))).toEqual([]);
});

test('W1: an address that another MAC was told meanwhile', () => {
  const moved = [...bound, fact('releasing'), fact('reserving', M2), asked('discover', { mac: M2 })];
  expect(rules(...moved, answered('offer', { mac: M2 }), discover, answered('offer'))).toEqual(['W1 at 12']);
});

test('W2: a NAK for the reserved address, to a request for another server, or for none', () => {
  expect(rules(...begin, rebooting(A), answered('nak'))).toEqual(['W2 at 4']);
  const elsewhere = asked('request', { requested: B, server: '169.254.9.9' });
  expect(rules(...begin, elsewhere, answered('nak'))).toEqual(['W2 at 4']);
  expect(rules(...begin, asked('request'), answered('nak'))).toEqual(['W2 at 4']);
});

test('W2: a NAK to a request for another server passes for a backend that does so by design, and nothing else does', () => {
  const exceptions = { ...NO_EXCEPTIONS, naksForOthers: true };
  const rulesFor = (...records: readonly WireRecord[]) =>
    checkWire(records, exceptions).map(({ rule, at }) => `${rule} at ${at}`);
  const elsewhere = asked('request', { requested: A, server: '169.254.9.9' });
  expect(rulesFor(...bound, elsewhere, answered('nak'))).toEqual([]);
  expect(rulesFor(...bound, rebooting(A), answered('nak'))).toEqual(['W2 at 8']);
});

test('W3: any answer to an unknown MAC, also one whose reservation has ended', () => {
  const stranger = { mac: M2 };
  expect(rules(...begin, asked('discover', stranger), answered('offer', stranger))).toEqual(['W3 at 4']);
  const wanting = asked('request', { ...stranger, requested: A });
  expect(rules(...begin, wanting, answered('nak', stranger))).toEqual(['W3 at 4', 'W2 at 4']);
  expect(rules(...bound, fact('released'), discover, answered('offer'))).toEqual(['W3 at 9']);
});

test('W4: an answer by a host that serves no more, or never did', () => {
  expect(rules(...bound, ended, discover, answered('offer'))).toEqual(['W4 at 9']);
  expect(rules(...bound, discover, answered('offer', { sender: H2 }))).toEqual(['W4 at 8']);
  expect(rules(...bound, ended, serves, discover, answered('offer'))).toEqual([]);
});

test('W5: another server identifier, none, or another source', () => {
  for (const change of [{ server: '169.254.1.2' }, { server: undefined }, { source: '10.0.0.1' }]) {
    expect(rules(...bound, discover, answered('offer', change))).toEqual(['W5 at 8']);
  }
});

test('W6: an answer without a question, to another exchange, or of the wrong type', () => {
  expect(rules(...begin, answered('offer'))).toEqual(['W6 at 3']);
  expect(rules(...begin, discover, answered('offer', { xid: 2 }))).toEqual(['W6 at 4']);
  expect(rules(...begin, discover, answered('ack'))).toEqual(['W6 at 4']);
});

test('a question that is repeated late is answered all the same', () => {
  expect(rules(...begin, discover, answered('offer'), discover, selecting, answered('offer'), answered('ack'))).toEqual(
    [],
  );
});

test('W7: an answer to an address that is not of the guest', () => {
  expect(rules(...begin, discover, answered('offer', { destination: B }))).toEqual(['W7 at 4']);
});

test('W7: a NAK to the address that it was asked from, but for a backend that does so by design', () => {
  const renewing = asked('request', { ciaddr: B, source: B, destination: SERVER });
  const refused = [...begin, renewing, answered('nak', { destination: B })];
  expect(rules(...refused)).toEqual(['W7 at 4']);
  const exceptions = { ...NO_EXCEPTIONS, naksByUnicast: true };
  expect(checkWire(refused, exceptions)).toEqual([]);
  expect(checkWire([...begin, renewing, answered('ack', { destination: B })], exceptions)).toMatchObject([
    { rule: 'W7' },
  ]);
});

test('W7: an answer to an INFORM from another address, but for a backend that does so by design', () => {
  const inform = asked('inform', { ciaddr: B, source: B });
  const told = [...begin, inform, answered('ack', { yiaddr: UNSET, destination: B })];
  expect(rules(...told)).toEqual(['W7 at 4']);
  const exceptions = { ...NO_EXCEPTIONS, informsAnywhere: true };
  expect(checkWire(told, exceptions)).toEqual([]);
  expect(checkWire([...begin, inform, answered('ack', { destination: B })], exceptions)).toMatchObject([
    { rule: 'W7' },
  ]);
});

test('W7: an answer to a relay, but for a backend that does so by design', () => {
  const relayed = [...begin, asked('discover', { relay: B, source: B }), answered('offer', { destination: B })];
  expect(rules(...relayed)).toEqual(['W7 at 4']);
  const exceptions = { ...NO_EXCEPTIONS, answersRelays: true };
  expect(checkWire(relayed, exceptions)).toEqual([]);
  const elsewhere = asked('discover', { relay: '10.0.0.9', source: B });
  expect(checkWire([...begin, elsewhere, answered('offer', { destination: B })], exceptions)).toMatchObject([
    { rule: 'W7' },
  ]);
});

test('the state of a client is seen by its REQUEST', () => {
  expect(stateOf(selecting)).toBe('selecting');
  expect(stateOf(rebooting(A))).toBe('init-reboot');
  expect(stateOf(asked('request', { ciaddr: A }))).toBe('rebinding');
  expect(stateOf(asked('request', { ciaddr: A, destination: SERVER }))).toBe('renewing');
  expect(stateOf(discover)).toBe('discover');
});

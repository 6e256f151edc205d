import type { Clock } from '@leasehold/program/clock';
import type { Log } from '@leasehold/program/log';
import { formatIpv4, type Ipv4, type Mac, type Parsed } from '@leasehold/proto/values';
import { describe, expect, test } from 'vitest';
import { MESSAGE_TYPE, OPTION } from '../../domain/dhcp/codes.js';
import { encode } from '../../domain/dhcp/message.js';
import { u8, u32 } from '../../domain/dhcp/option-values.js';
import type { Standing } from '../../domain/standing.js';
import { NetworkTable } from '../../domain/table.js';
import type { Link } from '../dhcp-backend.js';
import { CHECK_MS } from '../host/placed-address.js';
import { BuiltinServer, MAX_DELAYED, REPORT_MS, RETRY_MS } from './builtin-server.js';
import type { SocketEvents } from './dhcp-sockets.js';

const BR0: Link = { name: 'br0', index: 7 };
const OURS = '169.254.7.9';
const ADDRESS = 0x0a000000 + 10;
const WRONG = 0x0a000000 + 99;

describe('opening', () => {
  test('it opens once link and assignment are there, and says so once', async () => {
    const host = fakeHost();
    const table = new NetworkTable();
    const server = host.server(table);
    expect(await server.flush()).toBe(false);
    server.attach(BR0);
    expect(await server.flush()).toBe(false);
    expect(server.state()).toEqual({ kind: 'closed', reason: 'Nothing is assigned yet' });
    assign(table);
    expect(await server.flush()).toBe(true);
    expect(host.present).toEqual(new Set([`${OURS} br0`]));
    expect(host.states).toEqual(['Nothing is assigned yet', 'open']);
  });

  test('trouble with the socket is the state, and is tried again until it goes', async () => {
    const host = fakeHost();
    host.trouble.socket = 'UDP port 67 is taken';
    const server = await host.opened();
    expect(server.state()).toEqual({ kind: 'closed', reason: 'UDP port 67 is taken' });
    await host.advance(3 * RETRY_MS);
    host.trouble.socket = undefined;
    await host.advance(RETRY_MS);
    expect(server.state()).toEqual({ kind: 'open' });
    expect(host.states).toEqual(['UDP port 67 is taken', 'open']);
  });

  test('without its service address it does not listen', async () => {
    const host = fakeHost();
    host.trouble.address = 'Cannot find device "br0"';
    const server = await host.opened();
    expect(server.state()).toEqual({ kind: 'closed', reason: 'Cannot find device "br0"' });
    expect(host.sockets).toHaveLength(0);
  });

  test('a broken socket is replaced', async () => {
    const host = fakeHost();
    const server = await host.opened();
    host.sockets[0]?.events.onBroken('Network is down');
    expect(server.state()).toEqual({ kind: 'closed', reason: 'Network is down' });
    await host.advance(RETRY_MS);
    expect(server.state()).toEqual({ kind: 'open' });
    expect(host.sockets.map(({ open }) => open)).toEqual([false, true]);
  });

  test('a service address that has gone is put back, with a new socket: the interface may be a new one', async () => {
    const host = fakeHost();
    const server = await host.opened();
    host.present.clear();
    host.trouble.address = 'Cannot find device "br0"';
    await host.advance(CHECK_MS + 3 * RETRY_MS);
    expect(server.state()).toEqual({ kind: 'closed', reason: 'Cannot find device "br0"' });
    host.trouble.address = undefined;
    await host.advance(RETRY_MS);
    expect(server.state()).toEqual({ kind: 'open' });
    expect(host.present).toEqual(new Set([`${OURS} br0`]));
    expect(host.sockets.map(({ open }) => open)).toEqual([false, true]);
    expect(host.warnings).toHaveLength(1);
  });

  test('one that is there again at once, or only on another interface, has gone all the same', async () => {
    const host = fakeHost();
    await host.opened();
    host.present.clear();
    host.present.add(`${OURS} br1`);
    await host.advance(CHECK_MS);
    expect(host.present).toEqual(new Set([`${OURS} br1`, `${OURS} br0`]));
    expect(host.sockets.map(({ open }) => open)).toEqual([false, true]);
  });

  test('an interface that came again gets a socket of its own', async () => {
    const host = fakeHost();
    const server = await host.opened();
    server.attach({ name: 'br0', index: 8 });
    expect(await server.flush()).toBe(true);
    expect(host.sockets.map(({ link, open }) => [link.index, open])).toEqual([
      [7, false],
      [8, true],
    ]);
  });

  test('detached, it takes its address away and answers nobody', async () => {
    const host = fakeHost();
    const server = await host.opened();
    server.attach(undefined);
    expect(await server.flush()).toBe(false);
    expect(host.present.size).toBe(0);
    expect(host.sockets.some(({ open }) => open)).toBe(false);
  });

  test('another service address takes the place of the old one', async () => {
    const host = fakeHost();
    const table = assign(new NetworkTable());
    const server = await host.opened(table);
    assign(table, '169.254.8.8');
    expect(await server.flush()).toBe(true);
    expect(host.present).toEqual(new Set(['169.254.8.8 br0']));
  });

  test('closed while it opens, it leaves nothing behind', async () => {
    const host = fakeHost();
    const server = host.server(assign(new NetworkTable()));
    server.attach(BR0);
    await server.close();
    await host.advance(10 * CHECK_MS);
    expect(host.present.size).toBe(0);
    expect(host.sockets.some(({ open }) => open)).toBe(false);
  });

  test("the socket's warning is logged once, not at every retry", async () => {
    const host = fakeHost();
    host.warning = 'Renewals may be lost';
    await host.opened();
    host.sockets[0]?.events.onBroken('x');
    await host.advance(RETRY_MS);
    expect(host.warnings).toEqual(['Renewals may be lost']);
  });
});

describe('answering', () => {
  test('the gate is asked for every answer', async () => {
    const host = fakeHost();
    const server = await host.opened();
    host.hears(discover(1));
    host.standing = 'silent';
    host.hears(discover(1));
    host.standing = 'synchronised';
    host.hears(discover(1));
    expect(host.sent()).toEqual(['offer to 255.255.255.255', 'offer to 255.255.255.255']);
    expect(server.counters.answered.offer).toBe(2);
    expect(server.counters.silent['no-authority']).toBe(1);
  });

  test('bytes that are no message are counted by reason', async () => {
    const host = fakeHost();
    const server = await host.opened();
    host.hears(Buffer.from('hello'));
    expect(server.counters.silent['too-short']).toBe(1);
    expect(host.sent()).toEqual([]);
  });

  test('an OFFER waits a second while behind', async () => {
    const host = fakeHost();
    await host.opened();
    host.standing = 'behind';
    host.hears(discover(1));
    await host.advance(999);
    expect(host.sent()).toEqual([]);
    await host.advance(1);
    expect(host.sent()).toEqual(['offer to 255.255.255.255']);
  });

  test('a guest that declined waits for its OFFER, whatever it repeats meanwhile, and gets it', async () => {
    const host = fakeHost();
    const table = assign(new NetworkTable());
    table.replace([entry(1), entry(2)]);
    await host.opened(table);
    host.hears(decline(1));
    host.hears(discover(1));
    host.hears(discover(2));
    expect(host.sent()).toHaveLength(1);
    await host.advance(999);
    host.hears(discover(1));
    expect(host.sent()).toHaveLength(1);
    await host.advance(1);
    expect(host.sent()).toHaveLength(2);
    host.hears(decline(1));
    host.hears(discover(1));
    await host.advance(1_999);
    expect(host.sent()).toHaveLength(2);
    await host.advance(1);
    expect(host.sent()).toHaveLength(3);
  });

  test('authority that ends during the wait ends the answer', async () => {
    const host = fakeHost();
    await host.opened();
    host.hears(reboot(1, WRONG));
    host.standing = 'silent';
    await host.advance(5_000);
    expect(host.sent()).toEqual([]);
  });

  test('a NAK is not sent when the control plane is lost during its wait', async () => {
    const host = fakeHost();
    await host.opened();
    host.hears(reboot(1, WRONG));
    host.standing = 'behind';
    await host.advance(5_000);
    expect(host.sent()).toEqual([]);
  });

  test('a NAK that a newer table takes back becomes an ACK', async () => {
    const host = fakeHost();
    const table = assign(new NetworkTable());
    await host.opened(table);
    host.hears(reboot(1, WRONG));
    table.apply({ put: [{ ...entry(1), address: '10.0.0.99', reservationId: 'r2' }], remove: [] });
    await host.advance(1_000);
    expect(host.sent()).toEqual(['ack to 255.255.255.255']);
  });

  test('a NAK that stands is sent after its wait', async () => {
    const host = fakeHost();
    await host.opened();
    host.hears(reboot(1, WRONG));
    await host.advance(1_000);
    expect(host.sent()).toEqual(['nak to 255.255.255.255']);
  });

  test('a client that asks again during the wait is answered once', async () => {
    const host = fakeHost();
    await host.opened();
    host.hears(reboot(1, WRONG));
    await host.advance(500);
    host.hears(reboot(1, WRONG));
    await host.advance(5_000);
    expect(host.sent()).toEqual(['nak to 255.255.255.255']);
  });

  test('a client that asks for another address waits anew: a NAK never comes right after the request it answers', async () => {
    const host = fakeHost();
    await host.opened();
    host.hears(reboot(1, WRONG));
    await host.advance(950);
    host.hears(reboot(1, WRONG + 1));
    await host.advance(999);
    expect(host.sent()).toEqual([]);
    await host.advance(1);
    expect(host.sent()).toEqual(['nak to 255.255.255.255']);
  });

  test('a client that moves on is not told NAK to what it said before', async () => {
    const host = fakeHost();
    await host.opened();
    host.hears(reboot(1, WRONG));
    await host.advance(950);
    host.hears(discover(1));
    await host.advance(5_000);
    expect(host.sent()).toEqual(['offer to 255.255.255.255']);
  });

  test('a client that asks faster than the wait is answered all the same', async () => {
    const host = fakeHost();
    host.standing = 'behind';
    await host.opened();
    for (let i = 0; i < 4; i++) {
      host.hears(discover(1));
      await host.advance(400);
    }
    expect(host.sent()).toEqual(['offer to 255.255.255.255']);
  });

  test('the answers that wait are bounded, what is over is counted', async () => {
    const host = fakeHost();
    const table = assign(new NetworkTable());
    table.replace(Array.from({ length: MAX_DELAYED + 5 }, (_, i) => entry(i)));
    const server = await host.opened(table);
    for (let i = 0; i < MAX_DELAYED + 5; i++) host.hears(reboot(i, 0x0affff00));
    expect(server.counters.lost['too-many-delayed']).toBe(5);
    await host.advance(1_000);
    expect(host.sent()).toHaveLength(MAX_DELAYED);
  });

  test('nothing is sent after close, also what waited', async () => {
    const host = fakeHost();
    const server = await host.opened();
    host.hears(reboot(1, WRONG));
    await server.close();
    await host.advance(5_000);
    expect(host.sent()).toEqual([]);
    expect(server.counters.answered.nak).toBe(0);
  });

  test('a send that fails is counted', async () => {
    const host = fakeHost();
    const server = await host.opened();
    host.trouble.send = true;
    host.hears(discover(1));
    expect(server.counters.lost['send-failed']).toBe(1);
  });
});

describe('the log', () => {
  test('tells once a minute what was answered since, and nothing when nothing was', async () => {
    const host = fakeHost();
    await host.opened();
    host.hears(discover(1));
    host.hears(discover(1));
    host.hears(reboot(1, ADDRESS));
    host.hears(discover(200));
    await host.advance(REPORT_MS);
    expect(host.infos).toEqual([['DHCP answers', { offers: 2, acks: 1, silent: { 'unknown-mac': 1 } }]]);
    await host.advance(10 * REPORT_MS);
    expect(host.infos).toHaveLength(1);
    host.hears(discover(1));
    host.trouble.send = true;
    host.hears(discover(1));
    await host.advance(REPORT_MS);
    expect(host.infos.slice(1)).toEqual([['DHCP answers', { offers: 2, lost: { 'send-failed': 1 } }]]);
  });

  test('tells the rest when the server closes, and no more after that', async () => {
    const host = fakeHost();
    const server = await host.opened();
    host.hears(discover(1));
    await server.close();
    await host.advance(10 * REPORT_MS);
    expect(host.infos).toEqual([['DHCP answers', { offers: 1 }]]);
  });
});

function assign(table: NetworkTable, serviceAddress = OURS): NetworkTable {
  const none = { gateway: '', dnsServers: [], ntpServers: [], domainName: '', domainSearch: [], mtu: 0, routes: [] };
  const subnet = { subnetId: 's', cidr: '10.0.0.0/16', ...none, options: [], leaseSeconds: 3_600 };
  const assigned = table.assign({ networkUid: 'u', serviceAddress, subnets: [subnet] });
  if (!assigned.ok) throw new Error(assigned.problem);
  if (table.size === 0) table.replace([entry(1)]);
  return table;
}

const mac = (n: number) =>
  `02:00:00:00:${(n >>> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')}` as Mac;

// MAC n has 10.0.0.(9 + n), so that MAC 1 has ADDRESS.
const entry = (n: number) => ({
  reservationId: `r${n}`,
  address: formatIpv4((ADDRESS - 1 + n) as Ipv4),
  mac: mac(n),
  hostname: '',
  options: [],
});

const discover = (n: number) => request(n, [[OPTION.messageType, u8(MESSAGE_TYPE.discover)]]);

const reboot = (n: number, address: number) =>
  request(n, [
    [OPTION.messageType, u8(MESSAGE_TYPE.request)],
    [OPTION.requestedAddress, u32(address)],
  ]);

const decline = (n: number) =>
  request(n, [
    [OPTION.messageType, u8(MESSAGE_TYPE.decline)],
    [OPTION.requestedAddress, u32((0x0a000000 + 10) as Ipv4)],
    [OPTION.serverId, u32(0xa9fe0709 as Ipv4)],
  ]);

function request(n: number, options: [number, Uint8Array][]): Buffer {
  const none = 0 as Ipv4;
  const head = { op: 'request', xid: n, flags: 0, ciaddr: none, yiaddr: none, siaddr: none, giaddr: none } as const;
  return encode({ ...head, mac: mac(n), options: new Map(options) }, 548).bytes;
}

interface FakeSocket {
  readonly link: Link;
  readonly events: SocketEvents;
  readonly sent: string[];
  open: boolean;
}

function fakeHost() {
  const timers: { at: number; run: () => void }[] = [];
  let now = 0;
  const clock: Clock = {
    now: () => now,
    wallTime: () => new Date(0),
    after(delayMs, run) {
      const timer = { at: now + delayMs, run };
      timers.push(timer);
      return { cancel: () => void timers.splice(0, timers.length, ...timers.filter((other) => other !== timer)) };
    },
  };
  const settle = async () => {
    for (let i = 0; i < 20; i++) await Promise.resolve();
  };
  const nothing = () => undefined;
  const log: Log = {
    debug: nothing,
    info: (message, fields) => void host.infos.push([message, fields]),
    warn: (message) => void host.warnings.push(message),
    error: nothing,
    with: () => log,
  };
  const host = {
    standing: 'synchronised' as Standing,
    trouble: { socket: undefined as string | undefined, address: undefined as string | undefined, send: false },
    warning: undefined as string | undefined,
    warnings: [] as string[],
    infos: [] as unknown[],
    states: [] as string[],
    present: new Set<string>(),
    sockets: [] as FakeSocket[],

    server(table: NetworkTable): BuiltinServer {
      const ports = { clock, log, sockets: { open }, serviceAddresses };
      const server = new BuiltinServer(table, { standing: () => host.standing, untilMs: () => 0 }, ports);
      server.onStateChange(() => {
        const state = server.state();
        host.states.push(state.kind === 'open' ? 'open' : state.reason);
      });
      return server;
    },
    async opened(table = assign(new NetworkTable())): Promise<BuiltinServer> {
      const server = host.server(table);
      server.attach(BR0);
      await server.flush();
      return server;
    },
    hears(bytes: Uint8Array): void {
      for (const socket of host.sockets) if (socket.open) socket.events.onMessage(bytes);
    },
    sent: () => host.sockets.flatMap(({ sent }) => sent),
    async advance(ms: number): Promise<void> {
      const end = now + ms;
      for (;;) {
        await settle();
        const [next] = timers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at);
        if (!next) break;
        timers.splice(timers.indexOf(next), 1);
        now = next.at;
        next.run();
      }
      now = end;
    },
  };
  const serviceAddresses = {
    async put(link: Link, address: Ipv4): Promise<Parsed<void>> {
      if (host.trouble.address) return { ok: false, problem: host.trouble.address };
      host.present.add(`${formatIpv4(address)} ${link.name}`);
      return { ok: true, value: undefined };
    },
    async remove(link: Link, address: Ipv4): Promise<void> {
      host.present.delete(`${formatIpv4(address)} ${link.name}`);
    },
    list: async () => ({ ok: true, value: [] }) as const,
    isPresent: ({ name }: Link, address: Ipv4) => host.present.has(`${formatIpv4(address)} ${name}`),
  };
  async function open(link: Link, events: SocketEvents) {
    if (host.trouble.socket) return { ok: false, problem: host.trouble.socket } as const;
    const socket: FakeSocket = { link, events, sent: [], open: true };
    host.sockets.push(socket);
    const send = (bytes: Uint8Array, address: Ipv4, onFailure: () => void) => {
      if (!socket.open || host.trouble.send) onFailure();
      else socket.sent.push(`${typeOf(bytes)} to ${formatIpv4(address)}`);
    };
    const close = () => {
      socket.open = false;
    };
    return { ok: true, value: { warning: host.warning, send, close } } as const;
  }
  return host;
}

// Option 53 is the first one of every reply.
function typeOf(bytes: Uint8Array): string | undefined {
  return Object.entries(MESSAGE_TYPE).find(([, type]) => type === bytes[242])?.[0];
}

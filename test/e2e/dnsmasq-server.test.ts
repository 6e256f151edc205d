// One network's real dnsmasq: what it answers after flush() is what the table holds, whatever is in it, and it ends when
// it must. Without agent and control plane, which would need minutes to give an address to another MAC.

import { createSocket } from 'node:dgram';
import { existsSync, readFileSync } from 'node:fs';
import { identityOf } from '@leasehold/agent/backends/dnsmasq/system-process';
import { MESSAGE_TYPE, OPTION } from '@leasehold/agent/domain/dhcp/codes';
import { type DhcpMessage, decode } from '@leasehold/agent/domain/dhcp/message';
import { respond } from '@leasehold/agent/domain/responder';
import { boottimeNow } from '@leasehold/agent/system/boottime';
import { hasAddress } from '@leasehold/agent/system/interfaces';
import { Assignment, TableEntry } from '@leasehold/proto/ipam/v1/session';
import { formatIpv4, type Ipv4, type Mac, parseDomain, parseHostname } from '@leasehold/proto/values';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DnsmasqLab } from '../support/dnsmasq-lab.js';
import { eventually } from '../support/eventually.js';
import { runOrThrow } from '../support/run.js';
import { hasTool } from '../support/tools.js';

const SUBNET = { subnetId: 'a', cidr: '10.0.0.0/16', gateway: '10.0.0.1', leaseSeconds: 600 };

describe.skipIf(!(await hasTool('dnsmasq')))('a real dnsmasq', () => {
  let lab: DnsmasqLab;

  beforeAll(async () => {
    lab = await DnsmasqLab.start();
    assign({});
    expect(await lab.server.flush()).toBe(true);
  });

  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
  });

  test('after flush() an added reservation is answered, and a removed one is not', async () => {
    for (let round = 0; round < 20; round++) {
      put(entry(round));
      expect(await lab.server.flush()).toBe(true);
      expect(await answered(round)).toBe(address(round));
    }
    for (let round = 0; round < 20; round++) {
      lab.table.apply({ put: [], remove: [{ reservationId: `r${round}`, address: address(round) }] });
      expect(await lab.server.flush()).toBe(true);
      expect(await lab.ask(mac(round), MESSAGE_TYPE.discover)).toBeUndefined();
    }
  });

  test('two reservations that swap their addresses, with leases held, are answered so at once', async () => {
    replace(entry(1), entry(2), entry(3));
    await lab.server.flush();
    for (const n of [1, 2, 3]) expect(await answered(n)).toBe(address(n));
    for (let round = 0; round < 10; round++) {
      const [a, b] = round % 2 === 0 ? [2, 1] : [1, 2];
      replace(entry(1, { address: address(a) }), entry(2, { address: address(b) }), entry(3));
      expect(await lab.server.flush()).toBe(true);
      expect([await answered(1), await answered(2), await answered(3)]).toEqual([address(a), address(b), address(3)]);
    }
  });

  test('addresses that move to other MACs in great number are answered to those, and not to the old ones', async () => {
    const count = 1_000;
    const all = Array.from({ length: count }, (_, n) => n);
    replace(...all.map((n) => entry(n)));
    await lab.server.flush();
    for (const n of all) await lab.exchange(mac(n));
    replace(...all.map((n) => entry(n, { mac: mac(n + count), reservationId: `moved${n}` })));
    expect(await lab.server.flush()).toBe(true);
    for (const n of all.filter((n) => n % 10 === 0)) expect(await answered(n + count)).toBe(address(n));
    expect(await lab.ask(mac(0), MESSAGE_TYPE.discover)).toBeUndefined();
    expect(lab.log.complaints()).toEqual([]);
  });

  test('also while another interface, which comes first, has the same service address', async () => {
    const lines = ['link add aa0 type bridge', 'link set aa0 up', 'address add 169.254.7.9/32 dev aa0 scope link'];
    await runOrThrow('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
    await runOrThrow('ip', ['address', 'del', '169.254.7.9/32', 'dev', lab.bridge]);
    try {
      await eventually('it is put back', async () => hasAddress(lab.bridge, 0xa9fe0709 as Ipv4));
      replace(entry(1));
      expect(await lab.server.flush()).toBe(true);
      expect(await answered(1)).toBe(address(1));
      replace(entry(2, { address: address(1) }));
      expect(await lab.server.flush()).toBe(true);
      expect(await answered(2)).toBe(address(1));
    } finally {
      await runOrThrow('ip', ['link', 'delete', 'aa0']);
    }
  });

  test('the process stays while hosts and settings change; own options and lease times need another', async () => {
    replace(entry(1));
    await lab.server.flush();
    const before = pids();
    assign({ dnsServers: ['10.0.0.9'], options: [{ code: 66, value: 'subnet.example' }] });
    replace(entry(1, { hostname: 'renamed' }), entry(2));
    await lab.server.flush();
    expect(pids()).toEqual(before);
    const told = await lab.exchange(mac(1));
    expect([text(told, 66), text(told, OPTION.hostname)]).toEqual(['subnet.example\0', 'renamed']);
    replace(entry(1, { options: [{ code: 66, value: 'own.example' }] }), entry(2));
    await lab.server.flush();
    const second = pids();
    expect(second).not.toEqual(before);
    expect(text(await lab.exchange(mac(1)), 66)).toBe('own.example\0');
    expect(text(await lab.exchange(mac(2)), 66)).toBe('subnet.example\0');
    assign({ leaseSeconds: 1_200 });
    await lab.server.flush();
    expect(pids()).not.toEqual(second);
    expect(text(await lab.exchange(mac(1)), OPTION.leaseTime)).toBe('\0\0\x04\xb0');
    assign({});
    await lab.server.flush();
  });

  test('a dnsmasq that is killed comes back, and it is said', async () => {
    replace(entry(1));
    await lab.server.flush();
    process.kill(pids()[0] ?? 0, 'SIGKILL');
    await eventually('it is noticed', async () => lab.server.state().kind === 'closed');
    expect(lab.server.state()).toEqual({ kind: 'closed', reason: 'dnsmasq ended: ended by SIGKILL' });
    await eventually('it is back', async () => lab.server.state().kind === 'open');
    expect(await answered(1)).toBe(address(1));
  });

  test('another agent takes it over: the same process, what the table holds by then', async () => {
    replace(entry(1), entry(2));
    await lab.server.flush();
    expect(await answered(1)).toBe(address(1));
    const before = pids();
    replace(entry(3, { address: address(1) }), entry(2));
    await lab.restart();
    expect(await lab.server.flush()).toBe(true);
    expect(pids()).toEqual(before);
    expect(await answered(3)).toBe(address(1));
    expect(await lab.ask(mac(1), MESSAGE_TYPE.discover)).toBeUndefined();
  });

  test('another agent ends what has other arguments, and starts its own', async () => {
    const before = pids();
    assign({ leaseSeconds: 300 });
    await lab.restart();
    expect(await lab.server.flush()).toBe(true);
    // It answers before it is written down.
    await eventually('the new one is there, alone', async () => pids().length === 1);
    expect(pids()).not.toEqual(before);
    assign({});
    await lab.server.flush();
  });

  test('it is killed at the end of authority, and back when there is authority again', async () => {
    replace(entry(1));
    await lab.server.flush();
    const forever = lab.untilMs;
    lab.untilMs = boottimeNow() + 300;
    lab.server.changed();
    await eventually('it is gone', async () => pids().length === 0);
    expect(boottimeNow()).toBeGreaterThanOrEqual(lab.untilMs);
    expect(await lab.ask(mac(1), MESSAGE_TYPE.discover)).toBeUndefined();
    // It could answer, with authority.
    expect(lab.server.state()).toEqual({ kind: 'open' });
    lab.untilMs = forever;
    expect(await lab.server.flush()).toBe(true);
    expect(await answered(1)).toBe(address(1));
  });

  test('another network of the same host has a dnsmasq of its own, and each answers its own guests only', async () => {
    await using other = await DnsmasqLab.start();
    const subnet = { ...SUBNET, cidr: '10.9.0.0/16', gateway: '10.9.0.1' };
    other.table.assign(Assignment.fromPartial({ networkUid: 'o', serviceAddress: '169.254.9.9', subnets: [subnet] }));
    other.table.replace([entry(1, { address: '10.9.0.7' })]);
    replace(entry(1), entry(2));
    expect(await Promise.all([lab.server.flush(), other.server.flush()])).toEqual([true, true]);
    const [ours, theirs] = await Promise.all([lab.exchange(mac(1)), other.exchange(mac(1))]);
    expect([ours?.yiaddr, theirs?.yiaddr].map((yiaddr) => yiaddr && formatIpv4(yiaddr))).toEqual([
      address(1),
      '10.9.0.7',
    ]);
    expect(await other.ask(mac(2), MESSAGE_TYPE.discover)).toBeUndefined();
  });

  test('another DHCP server on the host is the reason why nobody is answered, until it goes', async () => {
    replace(entry(1));
    lab.server.attach(undefined);
    expect(await lab.server.flush()).toBe(false);
    const taken = createSocket('udp4');
    await new Promise<void>((resolve, reject) => {
      taken.on('error', reject).bind(67, '0.0.0.0', resolve);
    });
    lab.attach();
    expect(await lab.server.flush()).toBe(false);
    expect(lab.server.state()).toEqual({
      kind: 'closed',
      reason: `UDP port 67 on ${lab.bridge} is taken: another DHCP server runs on this host`,
    });
    await new Promise<void>((resolve) => {
      taken.close(resolve);
    });
    await eventually('it is there', async () => lab.server.state().kind === 'open');
    expect(await answered(1)).toBe(address(1));
  });

  test('it dies with its keeper, however that ends, and both come back', async () => {
    await lab.server.flush();
    const [before] = pids();
    process.kill(keeperPid(), 'SIGKILL');
    await eventually('it is gone', async () => identityOf(before ?? 0) === undefined);
    await eventually('it is back', async () => lab.server.state().kind === 'open' && pids().length === 1);
    expect(await answered(1)).toBe(address(1));
  });

  test('a keeper that is frozen is ended, because it may not see the end of authority', async () => {
    const before = keeperPid();
    process.kill(before, 'SIGSTOP');
    await eventually('it is gone', async () => identityOf(before) === undefined);
    await eventually('another is there', async () => keeperPid() !== before && pids().length === 1);
    await eventually('it answers', async () => lab.server.state().kind === 'open');
    expect(await answered(1)).toBe(address(1));
  });

  test('thousands of host names, options and settings are told as the builtin backend tells them', async () => {
    const seed = Number(process.env['SEED'] ?? 17);
    const batches = fc.sample(fc.tuple(settings, fc.array(told, { minLength: 40, maxLength: 40 })), {
      seed,
      numRuns: 125,
    });
    let compared = 0;
    for (const [round, [subnet, all]] of batches.entries()) {
      // Options of their own begin another process: every other time it must stand what it reads anew.
      const entries = round % 3 === 0 ? all : all.map((own) => ({ hostname: own.hostname }));
      assign(subnet);
      replace(...entries.map((own, n) => entry(n, own)));
      expect(await lab.server.flush()).toBe(true);
      for (const n of entries.keys()) {
        const request = lab.request(mac(n), MESSAGE_TYPE.discover);
        const wanted = respond(request, lab.table, 'synchronised');
        const reply = wanted.kind === 'reply' ? decode(wanted.bytes) : undefined;
        if (!reply?.ok) throw new Error('The builtin backend answers');
        expect(shown(await lab.ask(mac(n), MESSAGE_TYPE.discover))).toEqual(shown(reply.message));
        compared++;
      }
    }
    expect(compared).toBe(5_000);
    expect(lab.log.complaints().filter((line) => line.includes('refuses'))).toEqual([]);
  }, 300_000);

  test('beyond 3,000 reservations it warns, beyond 5,000 it is closed, and whoever was served goes on', async () => {
    assign({});
    const many = (count: number) => replace(...Array.from({ length: count }, (_, n) => entry(n)));
    many(3_001);
    expect(await lab.server.flush()).toBe(true);
    expect(lab.log.complaints().at(-1)).toBe('More reservations than dnsmasq serves well: use --backend builtin');
    many(5_000);
    expect(await lab.server.flush()).toBe(true);
    expect(await answered(4_999)).toBe(address(4_999));
    many(5_001);
    expect(await lab.server.flush()).toBe(false);
    expect(lab.server.state()).toEqual({
      kind: 'closed',
      reason: '5001 reservations, dnsmasq serves up to 5000: use --backend builtin',
    });
    expect(await answered(1)).toBe(address(1));
    replace(entry(1));
    expect(await lab.server.flush()).toBe(true);
    expect(await answered(1)).toBe(address(1));
  });

  function assign(more: Partial<Parameters<typeof Assignment.fromPartial>[0]> | object): void {
    const subnet = { ...SUBNET, ...more };
    const assigned = lab.table.assign(
      Assignment.fromPartial({ networkUid: 'u', serviceAddress: '169.254.7.9', subnets: [subnet] }),
    );
    expect(assigned).toEqual({ ok: true, value: undefined });
  }

  function replace(...entries: readonly TableEntry[]): void {
    expect(lab.table.replace(entries)).toEqual({ ok: true, value: undefined });
  }

  function put(added: TableEntry): void {
    expect(lab.table.apply({ put: [added], remove: [] })).toEqual({ ok: true, value: undefined });
  }

  async function answered(n: number): Promise<string | undefined> {
    const ack = await lab.exchange(mac(n));
    return ack && formatIpv4(ack.yiaddr);
  }

  function pids(): readonly number[] {
    return lab.pids();
  }

  function keeperPid(): number {
    // The next one takes its place after a moment without.
    const file = `${lab.directory}/keeper.pid`;
    return existsSync(file) ? Number(readFileSync(file, 'latin1').split(' ')[0]) : 0;
  }
});

function mac(n: number): Mac {
  return `52:54:00:0d:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')}` as Mac;
}

/** 10.0.1.0 and on. */
function address(n: number): string {
  return `10.0.${1 + (n >> 8)}.${n & 255}`;
}

function entry(n: number, more: Partial<TableEntry> = {}): TableEntry {
  return TableEntry.fromPartial({ reservationId: `r${n}`, address: address(n), mac: mac(n), ...more });
}

function text(message: DhcpMessage | undefined, code: number): string {
  return Buffer.from(message?.options.get(code) ?? []).toString('latin1');
}

/** dnsmasq ends these texts with a NUL, which guests cut off (RFC 2132 §2). */
const NUL_ENDED = new Set([17, 66, 67, 100, 101]);

function shown(message: DhcpMessage | undefined): unknown {
  if (!message) return undefined;
  const options = [...message.options].map(([code, value]) => {
    const bytes = Buffer.from(value).toString('latin1');
    return [code, NUL_ENDED.has(code) ? bytes.replace(/\0$/, '') : bytes] as const;
  });
  return { yiaddr: formatIpv4(message.yiaddr), options: Object.fromEntries(options.toSorted(([a], [b]) => a - b)) };
}

// Names and texts that mean something to dnsmasq, beside any.
const words = fc.constantFrom(
  ...['tag', 'set', 'ignored', 'infinite1', 'x7d', '7dx', 'id', 'net', 'option', 'known', 'static', 'a--b', 'xn--a'],
  ...['localhost', 'router', '1a', '12-34', '0x37', 'd', 'w', 'dd', '7days', 'lease'],
);
const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,12}[a-z0-9])?$/);
const hostname = fc.oneof(words, label, fc.constant('')).filter((name) => name === '' || parseHostname(name).ok);
const domain = fc
  .array(fc.oneof(words, label), { minLength: 1, maxLength: 4 })
  .map((labels) => labels.join('.'))
  .filter((name) => parseDomain(name).ok);
// Without 0.0.0.0, which is left out: dnsmasq would tell its own address.
const ip = fc.integer({ min: 1, max: 0xffffffff }).map((n) => formatIpv4(n as never));
const printable = fc
  .oneof(
    fc.string({
      unit: fc.integer({ min: 32, max: 126 }).map((c) => String.fromCharCode(c)),
      minLength: 1,
      maxLength: 40,
    }),
    fc.constantFrom(
      '7',
      '7d',
      'ii',
      '7s',
      '1.2.3.4',
      'aa:bb',
      '1:2',
      '"',
      '\\',
      '#',
      ' # x',
      ',',
      'a,b',
      '""',
      '\\n',
      '\\"',
      ' ',
      '/',
    ),
    fc.constantFrom(
      'http://w/?a=b#c,d',
      '10.0.0.1,10.0.0.2',
      'tag:x',
      '0x37',
      'ff',
      '65535',
      '1.2.3.4/24',
      '[::1]',
      'b',
    ),
    fc.constantFrom('192.168.0.0/16', '::1', '-1', '100s', '55b', '%', '*', '00:11:22:33:44:55', 'x'.repeat(255)),
    ip,
  )
  // Left out where dnsmasq knows the option by name: it reads them as the width of a number.
  .filter((text) => text !== 'i' && text !== 's');
const option = fc.oneof(
  fc.record({ code: fc.constantFrom(17, 66, 67, 100, 101, 209, 210, 252), value: printable }),
  fc.record({
    code: fc.constantFrom(7, 44, 150),
    value: fc.array(ip, { minLength: 1, maxLength: 5 }).map((list) => list.join(',')),
  }),
  fc.record({ code: fc.constant(46), value: fc.constantFrom('1', '2', '4', '8') }),
  fc.record({
    code: fc.constant(114),
    value: fc.constantFrom('https://portal/a,"b"', 'urn:ietf:params:capport:unrestricted'),
  }),
);
const options = fc.uniqueArray(option, { selector: ({ code }) => code, maxLength: 3 });
const told = fc.record({ hostname, options });
const settings = fc.record({
  gateway: fc.constantFrom('', '10.0.0.1'),
  dnsServers: fc.array(ip, { maxLength: 3 }),
  ntpServers: fc.array(ip, { maxLength: 3 }),
  domainName: fc.oneof(domain, fc.constant('')),
  domainSearch: fc.uniqueArray(domain, { maxLength: 3 }),
  mtu: fc.constantFrom(0, 1_500, 9_000),
  routes: fc.array(
    fc.record({
      destination: fc.constantFrom('192.168.0.0/16', '172.16.0.0/12', '8.8.8.8/32', '128.0.0.0/1'),
      nextHop: fc.constant('10.0.0.2'),
    }),
    { maxLength: 2 },
  ),
  options,
});

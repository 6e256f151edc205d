import { Assignment, TableEntry } from '@leasehold/proto/ipam/v1/session';
import { formatIpv4, type Ipv4, type Parsed } from '@leasehold/proto/values';
import { describe, expect, test } from 'vitest';
import { MemoryLog } from '../../../../test/fakes/memory-log.js';
import { settle, VirtualClock } from '../../../../test/fakes/virtual-clock.js';
import { NetworkTable } from '../../domain/table.js';
import type { Link } from '../dhcp-backend.js';
import { CHECK_MS, type Place } from '../host/placed-address.js';
import {
  COALESCE_MS,
  DnsmasqServer,
  MAX_ENTRIES,
  READ_PATIENCE_MS,
  RETRY_MS,
  UNATTENDED_MS,
} from './dnsmasq-server.js';
import type { Ghost } from './ghosts.js';
import type { Process, ProcessEvents } from './processes.js';
import { hostsFile, type Told } from './told.js';

const BR0: Link = { name: 'br0', index: 7 };
const OPTIONS = 'read /state/key/opts';

describe('what is told', () => {
  test('it is open only when dnsmasq said that it read its files', async () => {
    const host = await opened({ hold: true });
    expect(host.server.state()).toEqual({ kind: 'closed', reason: 'dnsmasq is starting' });
    host.say('read /state/key/hosts');
    await settle();
    expect(host.server.state().kind).toBe('closed');
    host.say(OPTIONS);
    await settle();
    expect(host.server.state()).toEqual({ kind: 'open' });
    expect(host.steps).toEqual(['put 169.254.7.9', 'replace 1', 'start']);
  });

  test('an addition is a file; flush waits until that very file is read', async () => {
    const host = await opened();
    host.hold = true;
    host.put(2);
    let flushed: boolean | undefined;
    void host.server.flush().then((done) => {
      flushed = done;
    });
    await settle();
    host.say('read /state/key/add/something');
    host.say(OPTIONS);
    await settle();
    expect(flushed).toBeUndefined();
    host.say(`read /state/key/add/${host.added.at(-1)}`);
    await settle();
    expect(flushed).toBe(true);
    expect(host.steps.at(-1)).toBe('add 52:54:00:00:00:02,10.0.0.2');
  });

  test('a removal is read anew, and then its lease ended, and that is seen', async () => {
    const host = await opened();
    host.remove(1);
    const flushed = host.server.flush();
    await host.advance(COALESCE_MS);
    expect(await flushed).toBe(true);
    expect(host.steps.slice(3)).toEqual([
      'replace 0',
      'reread',
      'release 52:54:00:00:00:01 10.0.0.1 to 169.254.7.9',
      'add #',
    ]);
  });

  test('removals of the same moment share one SIGHUP', async () => {
    const host = await opened();
    for (const n of [2, 3, 4]) host.put(n);
    await host.server.flush();
    const flushes = [1, 2, 3].map((n) => {
      host.remove(n);
      return host.server.flush();
    });
    await host.advance(2 * COALESCE_MS);
    expect(await Promise.all(flushes)).toEqual([true, true, true]);
    expect(host.steps.filter((step) => step === 'reread')).toHaveLength(1);
  });

  test('a swap ends the leases of both', async () => {
    const host = await opened();
    host.put(2);
    await host.server.flush();
    host.table.replace([entry(1, 2), entry(2, 1)]);
    const flushed = host.server.flush();
    await host.advance(COALESCE_MS);
    expect(await flushed).toBe(true);
    expect(host.steps).toContain('release 52:54:00:00:00:01 10.0.0.1, 52:54:00:00:00:02 10.0.0.2 to 169.254.7.9');
  });

  test('when the leases may not have ended, dnsmasq is started anew: it remembers nothing then', async () => {
    const host = await opened();
    host.releases = false;
    host.remove(1);
    const flushed = host.server.flush();
    await host.advance(COALESCE_MS);
    expect(await flushed).toBe(false);
    await host.advance(RETRY_MS);
    expect(host.server.state()).toEqual({ kind: 'open' });
    expect(host.steps.slice(-3)).toEqual(['end', 'replace 0', 'start']);
  });

  test('a ghost that dnsmasq complains of is ended, unless it is the reservation', async () => {
    const host = await opened();
    const said = (mac: string) =>
      `dnsmasq-dhcp[9]: not using configured address 10.0.0.1 because it is leased to ${mac}`;
    host.say(said('52:54:00:00:00:01'));
    host.say(said('52:54:00:00:00:99'));
    expect(host.steps.slice(3)).toEqual(['release 52:54:00:00:00:99 10.0.0.1 to 169.254.7.9']);
  });

  test('what dnsmasq refuses closes the network with its words, and all is told again', async () => {
    const host = await opened();
    host.say('dnsmasq[9]: bad DHCP host name at line 1 of /state/key/hosts');
    await host.advance(RETRY_MS);
    expect(host.steps.slice(3)).toEqual(['replace 1', 'reread']);
    expect(host.server.state()).toEqual({ kind: 'open' });
    host.onReread = () => host.say('dnsmasq[9]: bad DHCP host name at line 1 of /state/key/hosts');
    host.say('dnsmasq[9]: bad DHCP host name at line 1 of /state/key/hosts');
    await host.advance(RETRY_MS);
    expect(host.server.state()).toEqual({
      kind: 'closed',
      reason: 'dnsmasq refuses what it was told: bad DHCP host name at line 1 of /state/key/hosts',
    });
  });

  test('a dnsmasq that says nothing is ended, and another one started', async () => {
    const host = await opened();
    host.hold = true;
    host.put(2);
    const flushed = host.server.flush();
    await host.advance(READ_PATIENCE_MS);
    expect(await flushed).toBe(false);
    host.hold = false;
    await host.advance(RETRY_MS);
    expect(host.server.state()).toEqual({ kind: 'open' });
    expect(host.steps.slice(-3)).toEqual(['end', 'replace 2', 'start']);
  });

  test('a disk that fails is the reason, and what dnsmasq holds stays', async () => {
    const host = await opened();
    host.failure = 'ENOSPC: no space left on device';
    host.remove(1);
    const flushed = host.server.flush();
    await host.advance(COALESCE_MS);
    expect(await flushed).toBe(false);
    expect(host.server.state()).toEqual({ kind: 'closed', reason: 'ENOSPC: no space left on device' });
    host.failure = undefined;
    await host.advance(RETRY_MS + COALESCE_MS);
    expect(host.server.state()).toEqual({ kind: 'open' });
    expect(host.steps.slice(3)).toEqual([
      'replace 0',
      'reread',
      'release 52:54:00:00:00:01 10.0.0.1 to 169.254.7.9',
      'add #',
    ]);
  });
});

test('what may have been told by halves is told again, also when it is as before by then', async () => {
  const host = await opened();
  host.failure = 'ENOSPC: no space left on device';
  host.remove(1);
  void host.server.flush();
  await host.advance(COALESCE_MS);
  host.failure = undefined;
  host.put(1);
  await host.advance(RETRY_MS + COALESCE_MS);
  expect(host.steps.slice(3)).toEqual(['replace 1', 'reread']);
});

describe('authority', () => {
  test('without it nothing runs, and the server could answer', async () => {
    const host = makeHost();
    host.untilMs = Number.NEGATIVE_INFINITY;
    host.server.attach(BR0);
    expect(await host.server.flush()).toBe(true);
    expect(host.steps).toEqual(['put 169.254.7.9']);
    host.untilMs = host.clock.now() + 60_000;
    host.server.changed();
    await host.advance(0);
    expect(host.steps).toEqual(['put 169.254.7.9', 'replace 1', 'start']);
  });

  test('every change of it moves the deadline, which is never farther than two minutes', async () => {
    const host = await opened();
    host.untilMs = host.clock.now() + 5_000;
    host.server.changed();
    expect(host.deadline).toBe(host.untilMs);
    host.untilMs = host.clock.now() + 86_400_000;
    host.server.changed();
    expect(host.deadline).toBe(host.clock.now() + UNATTENDED_MS);
    await host.advance(10 * CHECK_MS);
    expect(host.deadline).toBeGreaterThan(host.clock.now() + UNATTENDED_MS - CHECK_MS);
  });

  test('authority that is taken away while it is being started ends it as soon as it is there', async () => {
    const host = makeHost();
    host.hold = true;
    host.onStart = () => {
      host.untilMs = Number.NEGATIVE_INFINITY;
      host.server.changed();
    };
    host.server.attach(BR0);
    await host.advance(0);
    expect(host.steps.at(-1)).toBe('start');
    expect(host.deadline).toBe(0);
  });

  test('what it is not told does not prolong it', async () => {
    const host = await opened();
    const { deadline } = host;
    host.failure = 'ENOSPC: no space left on device';
    host.remove(1);
    host.server.changed();
    await host.advance(10 * RETRY_MS);
    expect(host.deadline).toBe(deadline);
    host.failure = undefined;
    await host.advance(RETRY_MS + COALESCE_MS);
    expect(host.deadline).toBeGreaterThan(deadline);
  });

  test('authority that is taken away ends it at once', async () => {
    const host = await opened();
    host.untilMs = Number.NEGATIVE_INFINITY;
    host.server.changed();
    await host.advance(0);
    expect(host.steps.slice(3)).toEqual(['end']);
  });
});

describe('trouble', () => {
  test('a dnsmasq that ends comes back after a wait; the reason is told meanwhile', async () => {
    const host = await opened();
    host.exit('dnsmasq: failed to bind DHCP server socket: Address already in use');
    const reason = 'UDP port 67 on br0 is taken: another DHCP server runs on this host';
    expect(host.server.state()).toEqual({ kind: 'closed', reason });
    await host.advance(RETRY_MS - 1);
    expect(host.steps).toHaveLength(3);
    await host.advance(1);
    expect(host.server.state()).toEqual({ kind: 'open' });
  });

  test('while it is tried again and again the reason stays, and it is logged once', async () => {
    const host = await opened();
    host.hold = true;
    for (let i = 0; i < 5; i++) {
      host.exit('dnsmasq: failed to bind DHCP server socket: Address already in use');
      await host.advance(RETRY_MS);
      expect(host.server.state()).toMatchObject({ reason: expect.stringContaining('is taken') });
    }
    expect(host.log.complaints()).toEqual(['dnsmasq ended']);
  });

  test('a program that is not there is told with its package', async () => {
    const host = await opened({ hold: true });
    host.exit('setpriv: failed to execute dnsmasq: No such file or directory');
    await settle();
    expect(host.server.state()).toEqual({
      kind: 'closed',
      reason: 'Program dnsmasq is not installed: install the package dnsmasq-base',
    });
  });

  test('a keeper that cannot be reached is the reason', async () => {
    const host = makeHost();
    host.refusal = 'The keeper of dnsmasq does not start';
    host.server.attach(BR0);
    expect(await host.server.flush()).toBe(false);
    expect(host.server.state()).toEqual({ kind: 'closed', reason: host.refusal });
  });

  test('an address before the service address is the reason: dnsmasq would answer from it', async () => {
    const host = await opened();
    host.firstAddress = 0xa9fe0101 as Ipv4;
    expect(await host.server.flush()).toBe(false);
    const reason = 'dnsmasq would answer from 169.254.1.1, which comes first on br0: remove it';
    expect(host.server.state()).toEqual({ kind: 'closed', reason });
    expect(host.steps.slice(3)).toEqual(['end']);
  });

  test('no service address is the reason, in other words', async () => {
    const host = await opened();
    host.firstAddress = undefined;
    expect(await host.server.flush()).toBe(false);
    const reason = 'Service address 169.254.7.9 is not on br0';
    expect(host.server.state()).toEqual({ kind: 'closed', reason });
  });

  describe('more reservations than it serves', () => {
    const closed = {
      kind: 'closed',
      reason: '5001 reservations, dnsmasq serves up to 5000: use --backend builtin',
    };
    const many = () => Array.from({ length: MAX_ENTRIES + 1 }, (_, n) => entry(n + 1));

    test('are not acknowledged; what runs is told of them, and goes on', async () => {
      const host = await opened();
      host.table.replace(many());
      expect(await host.server.flush()).toBe(false);
      expect(host.server.state()).toEqual(closed);
      host.remove(1);
      const flushed = host.server.flush();
      await host.advance(COALESCE_MS);
      expect(await flushed).toBe(true);
      expect(host.steps.slice(4)).toEqual([
        'replace 5000',
        'reread',
        'release 52:54:00:00:00:01 10.0.0.1 to 169.254.7.9',
        'add #',
      ]);
    });

    test('with other arguments end it no sooner than without an agent', async () => {
      const host = await opened();
      host.table.replace(many());
      await host.server.flush();
      const { deadline } = host;
      host.assign(1_200);
      await host.advance(CHECK_MS);
      expect(host.server.state()).toEqual(closed);
      expect(host.steps).not.toContain('end');
      await host.advance(10 * CHECK_MS);
      expect(host.deadline).toBeLessThanOrEqual(deadline + CHECK_MS);
    });

    test('begin no process', async () => {
      const host = makeHost();
      host.table.replace(many());
      host.server.attach(BR0);
      await host.advance(0);
      expect(host.server.state()).toEqual(closed);
      expect(host.steps).toEqual(['put 169.254.7.9']);
    });
  });
});

test('an option that cannot be told closes the network with the reason, and ends nobody at once', async () => {
  const host = await opened();
  const value = Array(63).fill('192.168.100.100').join(',');
  host.table.replace([TableEntry.fromPartial({ ...entry(1), options: [{ code: 150, value }] })]);
  expect(await host.server.flush()).toBe(false);
  const reason = 'An option cannot be told to dnsmasq, its line has 1033 characters of 1000: tag:o';
  expect(host.server.state()).toEqual({ kind: 'closed', reason: expect.stringContaining(reason) });
  expect(host.steps).toHaveLength(3);
  host.table.replace([entry(1)]);
  await host.advance(RETRY_MS);
  expect(host.server.state()).toEqual({ kind: 'open' });
});

describe('restarts of the agent', () => {
  test('what runs with the same arguments is told everything anew and stays; moved addresses are ended', async () => {
    const host = await opened();
    await host.server.suspend();
    expect(host.steps).toHaveLength(3);
    host.table.replace([entry(1, 5), entry(2)]);
    host.next(BR0);
    expect(await host.server.flush()).toBe(true);
    expect(host.steps.slice(3)).toEqual([
      'put 169.254.7.9',
      'replace 2',
      'reread',
      'release 52:54:00:00:00:01 10.0.0.1 to 169.254.7.9',
      'add #',
    ]);
  });

  test('what runs on an interface that has lost the address since is ended: it may be another one', async () => {
    const host = await opened();
    await host.server.suspend();
    host.present.clear();
    host.next(BR0);
    expect(await host.server.flush()).toBe(true);
    expect(host.steps.slice(3)).toEqual(['end', 'put 169.254.7.9', 'replace 1', 'start']);
  });

  test('leases that the one before had not ended yet are ended, though its files tell of them no more', async () => {
    const host = await opened();
    host.hold = true;
    host.remove(1);
    void host.server.flush();
    await host.advance(COALESCE_MS);
    expect(host.steps.slice(3)).toEqual(['replace 0', 'reread']);
    host.hold = false;
    host.next(BR0);
    expect(await host.server.flush()).toBe(true);
    expect(host.steps.slice(-4)).toEqual([
      'replace 0',
      'reread',
      'release 52:54:00:00:00:01 10.0.0.1 to 169.254.7.9',
      'add #',
    ]);
  });

  test.each([
    ['other arguments', (host: Host) => host.assign(1_200), ['put 169.254.7.9', 'end', 'replace 1', 'start']],
    [
      'no authority',
      (host: Host) => {
        host.untilMs = 0;
      },
      ['put 169.254.7.9', 'end'],
    ],
  ])('with %s it is ended', async (_, change, steps) => {
    const host = await opened();
    await host.server.suspend();
    change(host);
    host.next(BR0);
    await host.server.flush();
    expect(host.steps.slice(3)).toEqual(steps);
  });

  test('without an interface it is ended, too', async () => {
    const host = await opened();
    await host.server.suspend();
    host.next(undefined);
    expect(await host.server.flush()).toBe(false);
    expect(host.steps.slice(3)).toEqual(['end']);
  });

  test('a network that is closed leaves nothing', async () => {
    const host = await opened();
    await host.server.close();
    await host.advance(10 * CHECK_MS);
    expect(host.steps.slice(3)).toEqual(['end', 'remove 169.254.7.9', 'remove files']);
  });
});

function entry(n: number, address = n): TableEntry {
  const mac = `52:54:00:00:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')}`;
  return TableEntry.fromPartial({ reservationId: `r${n}`, address: formatIpv4((0x0a000000 + address) as Ipv4), mac });
}

async function opened({ hold = false } = {}): Promise<Host> {
  const host = makeHost();
  host.hold = hold;
  host.server.attach(BR0);
  await host.advance(0);
  return host;
}

type Host = ReturnType<typeof makeHost>;

function makeHost() {
  const clock = new VirtualClock();
  const log = new MemoryLog();
  const steps: string[] = [];
  const table = new NetworkTable();
  const present = new Set<Ipv4>();
  let running: { process: Process; events: ProcessEvents } | undefined;
  let lines: readonly string[] = [];
  let before: readonly string[] = [];

  const host = {
    clock,
    log,
    table,
    /** Moves time, and lets everything be said and heard that follows from it. */
    advance: async (ms: number) => {
      await clock.advance(ms);
      for (let i = 0; i < 5; i++) await settle();
    },
    /** What was done to the host, in order. */
    steps,
    added: [] as string[],
    untilMs: clock.now() + 3_600_000,
    deadline: 0,
    /** While set, dnsmasq says nothing by itself. */
    hold: false,
    releases: true,
    failure: undefined as string | undefined,
    refusal: undefined as string | undefined,
    firstAddress: 0xa9fe0709 as Ipv4 | undefined,
    onReread: (): void => {},
    onStart: (): void => {},
    /** Service addresses that are there. */
    present,
    server: undefined as unknown as DnsmasqServer,
    say: (line: string) => running?.events.onLine(line),
    exit: (reason: string) => {
      const { events } = running ?? { events: undefined };
      running = undefined;
      events?.onExit(reason);
    },
    put: (n: number) => table.apply({ put: [entry(n)], remove: [] }),
    remove: (n: number) => table.apply({ put: [], remove: [entry(n)] }),
    assign: (leaseSeconds: number) => {
      const subnet = { subnetId: 'a', cidr: '10.0.0.0/16', leaseSeconds };
      table.assign(Assignment.fromPartial({ networkUid: 'u', serviceAddress: '169.254.7.9', subnets: [subnet] }));
    },
    /** Another agent begins; the interface it finds. */
    next: (link: Link | undefined) => {
      host.server = make();
      host.server.attach(link);
    },
  };
  const saying = (line: string) => {
    if (!host.hold) void settle().then(() => host.say(line));
  };
  const processOf = (args: readonly string[], events: ProcessEvents): Process => {
    const process = {
      pid: 9,
      args,
      hold: (untilMs: number) => {
        host.deadline = untilMs;
      },
      limit: (untilMs: number) => {
        host.deadline = Math.min(host.deadline, untilMs);
      },
      reread: () => {
        steps.push('reread');
        host.onReread();
        saying(`dnsmasq-dhcp[9]: ${OPTIONS}`);
      },
      end: async () => {
        steps.push('end');
        running = undefined;
      },
    };
    running = { process, events };
    return process;
  };
  const ports = {
    clock,
    log,
    processes: {
      find: async (_key: string, events: ProcessEvents): Promise<Parsed<Process | undefined>> =>
        host.refusal === undefined
          ? { ok: true, value: running && processOf(running.process.args, events) }
          : { ok: false, problem: host.refusal },
      start: async (
        _key: string,
        args: readonly string[],
        untilMs: number,
        events: ProcessEvents,
      ): Promise<Parsed<Process>> => {
        steps.push('start');
        host.deadline = untilMs;
        host.onStart();
        saying(`dnsmasq-dhcp[9]: ${OPTIONS}`);
        return { ok: true, value: processOf(args, events) };
      },
      keepOnly: async () => undefined,
    },
    ghosts: {
      release: async (_pid: number, to: Place, ghosts: readonly Ghost[]) => {
        const shown = ghosts.map(({ mac, address }) => `${mac} ${formatIpv4(address)}`);
        steps.push(`release ${shown.join(', ')} to ${formatIpv4(to.address)}`);
        return host.releases;
      },
    },
    serviceAddresses: {
      put: async (_link: Link, address: Ipv4): Promise<Parsed<void>> => {
        steps.push(`put ${formatIpv4(address)}`);
        present.add(address);
        return { ok: true, value: undefined };
      },
      remove: async (_link: Link, address: Ipv4) => {
        steps.push(`remove ${formatIpv4(address)}`);
        present.delete(address);
      },
      isPresent: (_: unknown, address: Ipv4) => present.has(address),
    },
    prepareInterface: () => undefined,
    firstAddressOf: () => host.firstAddress,
  };
  const files = {
    setAside: async () => {
      before = [...before, ...lines];
      return before;
    },
    replace: async (told: Told) => {
      if (host.failure !== undefined) throw new Error(host.failure);
      steps.push(`replace ${told.hosts.size}`);
      lines = hostsFile(told).split('\n').slice(0, -1);
    },
    settle: async () => {
      before = [];
    },
    add: async (name: string, text: string) => {
      steps.push(`add ${text.trimEnd()}`);
      host.added.push(name);
      saying(`dnsmasq-dhcp[9]: read /state/key/add/${name}`);
    },
    remove: async () => {
      steps.push('remove files');
    },
  };
  const make = () => {
    const place = { key: 'key', directory: '/state/key', files };
    const gate = { standing: () => 'synchronised' as const, untilMs: () => host.untilMs };
    return new DnsmasqServer(table, gate, place, ports);
  };
  host.assign(600);
  host.put(1);
  host.server = make();
  return host;
}

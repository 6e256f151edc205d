// Guests on simulated wires, served by the product's agents and builtin backend under the product's control plane. Every
// frame is judged by `invariants/wire.ts`: a breach of a rule fails the test at the next `advance`.

import type { Ipv4 } from '@leasehold/proto/values';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GuestHost } from './guest-host.js';
import { GuestWorld, macOf, textOf } from './guest-world.js';
import type { SimulatedGuest } from './simulated-guest.js';
import { Stranger } from './stranger.js';

const L_MS = 120_000;
const S_MS = 60_000;
const T1_MS = L_MS / 2;
/** 9/16 of L, in whole seconds. */
const T2_MS = 67_000;

let world: GuestWorld;

beforeEach(async () => {
  world = await GuestWorld.start(['h1', 'h2', 'h3']);
});

afterEach(() => world.stop());

/** How long after its first lease a guest has one that was granted later; undefined: it did not, within L. */
async function renewedAfterMs(guest: SimulatedGuest): Promise<number | undefined> {
  const before = guest.lease;
  for (let ms = 0; ms <= L_MS; ms += 1_000) {
    if (before && guest.lease && guest.lease.sentMs > before.sentMs) return guest.lease.sentMs - before.sentMs;
    await world.advance(1_000);
  }
  return undefined;
}

function otherThan(host: GuestHost): string {
  return [...world.hosts.keys()].find((hostId) => hostId !== host.hostId) ?? '';
}

describe('a guest', () => {
  test('boots in one exchange and renews by unicast at half its lease', async () => {
    const guest = await world.boot(1, otherThan(world.serving));
    expect(guest.state.kind).toBe('bound');
    expect(await renewedAfterMs(guest)).toBeCloseTo(T1_MS, -1);
  });

  test('without a route to its server renews by broadcast at T2', async () => {
    const guest = await world.boot(1, otherThan(world.serving), { renewsOnLink: false });
    expect(await renewedAfterMs(guest)).toBeCloseTo(T2_MS, -1);
  });

  test('whose server was killed keeps its address with the next one, and is not refused', async () => {
    const dead = world.serving;
    const guest = await world.boot(1, otherThan(dead));
    const address = guest.address;
    dead.kill();
    const after = await renewedAfterMs(guest);
    expect(after).toBeLessThan((L_MS * 5) / 8);
    expect(textOf(guest.address)).toBe(textOf(address));
    expect(world.serving.hostId).not.toBe(dead.hostId);
  });

  test('that reboots asks for the address it had, and has it again at once', async () => {
    const guest = await world.boot(1, 'h1');
    const address = guest.address;
    guest.reboot();
    expect(guest.state.kind).toBe('rebooting');
    await world.advance(100);
    expect(guest.state.kind).toBe('bound');
    expect(guest.address).toBe(address);
  });

  test('that moved to another host goes on as if nothing had been', async () => {
    const guest = await world.boot(1, 'h1');
    const first = guest.lease;
    guest.migrate('h2');
    await world.advance(L_MS);
    expect(guest.lease?.address).toBe(first?.address);
    expect(guest.state.kind).toBe('bound');
  });

  test('whose address was given up for another is refused once and gets the other', async () => {
    const guest = await world.boot(1, 'h1');
    const before = textOf(guest.address);
    await world.installation.tryRelease('red-a', before, { guestStopped: true });
    const other = before === '10.0.0.77' ? '10.0.0.78' : '10.0.0.77';
    await world.installation.reserve('red-a', macOf(1), other);
    await world.advance(L_MS);
    expect(textOf(guest.address)).toBe(other);
    expect(world.trace.filter((line) => line.endsWith('68 6'))).toHaveLength(1);
  });

  test('whose reservation ended is answered no more and stops using the address when its lease ends', async () => {
    const guest = await world.boot(1, 'h1');
    await world.installation.tryRelease('red-a', textOf(guest.address));
    await world.advance(L_MS - 5_000);
    expect(guest.address).toBeDefined();
    await world.advance(5_000);
    expect(guest.address).toBeUndefined();
    expect(guest.state.kind).toBe('selecting');
  });

  test('declines an address that somebody uses, and the reservation says so', async () => {
    const squatter = await world.boot(1, 'h1', { overstays: true });
    const address = textOf(squatter.address);
    // It goes on using what is not its own any more.
    await world.installation.tryRelease('red-a', address, { guestStopped: true });
    await world.advance(300_000);
    expect(squatter.state.kind).toBe('overstaying');
    await world.installation.reserve('red-a', macOf(2), address);
    await world.advance(1_000);
    const guest = world.addGuest(2, 'h2', { probes: true });
    guest.start();
    await world.advance(1_000);
    expect(guest.state.kind).toBe('waiting');
    const slot = world.installation.disk.slot('red' as never, squatter.address as Ipv4);
    expect(slot?.conflict?.kind).toBeDefined();
  });

  test('with a clock that is one percent wrong keeps its address', async () => {
    const guests = [0.99, 1.01].map((rate, i) => world.addGuest(i + 1, 'h1', {}, rate));
    for (const n of [1, 2]) await world.installation.reserve('red-a', macOf(n));
    await world.advance(100);
    for (const guest of guests) guest.start();
    await world.advance(1_000_000);
    expect(guests.map(({ state }) => state.kind)).toEqual(['bound', 'bound']);
    expect(world.trace.filter((line) => line.endsWith('67 1'))).toHaveLength(2);
  });
});

describe('a host', () => {
  test('that stands still hears with its sockets, and answers what they hold when it goes on in time', async () => {
    const host = world.serving;
    const guest = await world.boot(1, otherThan(host));
    host.freeze();
    guest.reboot();
    await world.advance(1_000);
    expect(guest.state.kind).toBe('rebooting');
    host.thaw();
    await world.advance(10);
    expect(guest.state.kind).toBe('bound');
  });

  test('that stands still beyond its authority answers nothing of what its sockets hold', async () => {
    const host = world.serving;
    const guest = await world.boot(1, otherThan(host));
    world.wires.get(host.hostId)?.cut();
    host.freeze();
    // Its siblings hear nothing of the guest, so that nobody else answers.
    world.segment.isolate(host.hostId, guest.place);
    await world.advance(S_MS);
    guest.reboot();
    await world.advance(20_000);
    expect(host.network.listens('red')).toBe(true);
    const before = world.trace.length;
    host.thaw();
    await world.advance(1_000);
    const answers = world.trace.slice(before).filter((line) => / 68 /.test(line));
    expect(answers).toEqual([]);
    expect(guest.state.kind).toBe('selecting');
  });

  test('that is cut off serves on until its authority ends, then nobody', async () => {
    const host = world.serving;
    const guest = await world.boot(1, host.hostId);
    for (const wire of world.wires.values()) wire.cut();
    await world.advance(S_MS - 10_000);
    guest.reboot();
    await world.advance(2_000);
    expect(guest.state.kind).toBe('bound');
    await world.advance(10_000);
    guest.reboot();
    await world.advance(30_000);
    expect(guest.state.kind).toBe('selecting');
  });

  test('that lost its power says nothing until its table is confirmed, and then serves', async () => {
    const host = world.serving;
    for (const each of world.hosts.values()) if (each !== host) each.kill();
    const guest = await world.boot(1, otherThan(host));
    host.powerOff();
    world.wires.get(host.hostId)?.cut();
    await world.advance(1_000);
    host.powerOn();
    guest.reboot();
    await world.advance(10_000);
    expect(guest.state.kind).not.toBe('bound');
    world.wires.get(host.hostId)?.heal();
    await world.advance(20_000);
    expect(guest.state.kind).toBe('bound');
  });

  test.each(['down', 'renamed', 'made-again'] as const)(
    'whose interface is %s serves again when it is there',
    async (link) => {
      const host = world.serving;
      for (const each of world.hosts.values()) if (each !== host) each.kill();
      const guest = await world.boot(1, host.hostId);
      host.setLink('red', link);
      await world.advance(3_000);
      expect(host.network.listens('red')).toBe(link === 'made-again');
      host.setLink('red', 'up');
      await world.advance(10_000);
      expect(host.network.listens('red')).toBe(true);
      guest.reboot();
      await world.advance(20_000);
      expect(guest.state.kind).toBe('bound');
    },
  );

  test('that was killed leaves its service address, and takes it away when it comes back without its placement', async () => {
    const host = world.serving;
    host.kill();
    await world.advance(30_000);
    expect(host.network.addressesOf('red')).toHaveLength(1);
    expect(world.serving.hostId).not.toBe(host.hostId);
    host.start();
    await world.advance(30_000);
    expect(host.network.addressesOf('red')).toEqual([]);
  });

  test('on a full disk serves on with what it has', async () => {
    const host = world.serving;
    const guest = await world.boot(1, host.hostId);
    host.setDisk('full');
    await world.installation.reserve('red-a', macOf(2));
    await world.advance(L_MS);
    expect(guest.state.kind).toBe('bound');
    host.setDisk('good');
    await world.advance(20_000);
    const later = await world.boot(2, host.hostId);
    expect(later.state.kind).toBe('bound');
  });
});

describe('a wire', () => {
  test('that carries one way only costs a guest its answers, and nothing once it is whole', async () => {
    const host = world.serving;
    const place = otherThan(host);
    const guest = await world.boot(1, place);
    world.segment.cut(host.hostId, place);
    guest.reboot();
    await world.advance(30_000);
    expect(guest.state.kind).toBe('selecting');
    world.segment.heal();
    await world.advance(70_000);
    expect(guest.state.kind).toBe('bound');
  });

  test('that loses, doubles and delays frames costs guests time, not addresses', async () => {
    world.segment.conditions = { delayMs: [0.1, 50], loss: 0.2, duplication: 0.2 };
    const guests = await Promise.all(
      [1, 2, 3, 4].map(async (n) => {
        await world.installation.reserve('red-a', macOf(n));
        return world.addGuest(n, `h${(n % 3) + 1}`);
      }),
    );
    for (const guest of guests) guest.start();
    await world.advance(1_200_000);
    world.segment.conditions = { delayMs: [0.1, 2], loss: 0, duplication: 0 };
    await world.advance(130_000);
    expect(guests.map(({ state }) => state.kind)).toEqual(['bound', 'bound', 'bound', 'bound']);
  });

  test('with strangers that say everything there is to say is silent towards them', async () => {
    const guest = await world.boot(1, 'h1');
    const addresses = [0, 0xffffffff, guest.address ?? 0, guest.lease?.server ?? 0, 0x0a000063].map((n) => n as Ipv4);
    const strangers = [1, 2].map(
      (n) => new Stranger(`52:54:00:00:01:0${n}` as never, `h${n}`, world.segment, world.numbers()),
    );
    for (let i = 0; i < 300; i++) {
      for (const stranger of strangers) stranger.say(addresses);
      await world.advance(50);
    }
    expect(strangers.map(({ answers }) => answers)).toEqual([0, 0]);
    expect(guest.state.kind).toBe('bound');
  });
});

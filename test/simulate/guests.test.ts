// Guests on simulated wires, served by the product's agents and builtin backend under the product's control plane. Every
// frame is judged by `invariants/wire.ts`: a breach of a rule fails the test at the next `advance`.

import type { Ipv4, Mac } from '@leasehold/proto/values';
import type { NetworkId } from '@leasehold/server/domain/ids';
import { beforeEach, describe, expect, test } from 'vitest';
import { AUTHORITY_S, GuestWorld, LEASE_S, textOf } from './guest-world.js';
import type { SimulatedGuest } from './simulated-guest.js';
import { Stranger } from './stranger.js';

const L_MS = 1_000 * LEASE_S;
const S_MS = 1_000 * AUTHORITY_S;
const T1_MS = L_MS / 2;
/** 9/16 of L, in whole seconds. */
const T2_MS = 67_000;

let world: GuestWorld;

beforeEach(async () => {
  world = await GuestWorld.start();
});

/** How long after its lease a guest asked for the next one that it got; undefined: none within L. */
async function renewedAfterMs(guest: SimulatedGuest): Promise<number | undefined> {
  const before = guest.lease;
  for (let ms = 0; ms <= L_MS; ms += 1_000) {
    if (before && guest.lease && guest.lease.sentMs > before.sentMs) return guest.lease.sentMs - before.sentMs;
    await world.advance(1_000);
  }
  return undefined;
}

/** What hosts said since a moment. */
function answersSince(frames: number): readonly string[] {
  return world.frames.slice(frames).filter((frame) => frame.startsWith('68'));
}

describe('a guest', () => {
  test('boots in one exchange and renews by unicast at half its lease', async () => {
    const guest = await world.boot(1, world.other);
    expect(guest.state.kind).toBe('bound');
    expect(await renewedAfterMs(guest)).toBeCloseTo(T1_MS, -1);
  });

  test('without a route to its server renews by broadcast at T2', async () => {
    const guest = await world.boot(1, world.other, { renewsOnLink: false });
    expect(await renewedAfterMs(guest)).toBeCloseTo(T2_MS, -1);
  });

  test('whose server was killed keeps its address with the next one, and is not refused', async () => {
    const dead = world.placed;
    const guest = await world.boot(1, world.other);
    const { address } = guest;
    dead.kill();
    expect(await renewedAfterMs(guest)).toBeLessThan((L_MS * 5) / 8);
    expect(guest.address).toBe(address);
    expect(world.placed).not.toBe(dead);
  });

  test('that reboots asks for the address it had, and has it again at once', async () => {
    const guest = await world.boot(1, 'h1');
    const { address } = guest;
    guest.reboot();
    expect(guest.state.kind).toBe('rebooting');
    await world.advance(100);
    expect(guest.state.kind).toBe('bound');
    expect(guest.address).toBe(address);
  });

  test('that moved to another host goes on as if nothing had been', async () => {
    const guest = await world.boot(1, 'h1');
    const { address } = guest;
    guest.migrate('h2');
    await world.advance(2 * L_MS);
    expect(guest.address).toBe(address);
    expect(world.frames.filter((frame) => frame === '67 1')).toHaveLength(1);
  });

  test('whose address was given up for another is refused once and gets the other', async () => {
    const guest = await world.boot(1, 'h1');
    const other = textOf(guest.address) === '10.0.0.77' ? '10.0.0.78' : '10.0.0.77';
    await world.release(guest.address);
    await world.reserve(1, other);
    await world.advance(L_MS);
    expect(textOf(guest.address)).toBe(other);
    expect(world.frames.filter((frame) => frame === '68 6')).toHaveLength(1);
  });

  test('whose reservation ended is answered no more and stops using the address when its lease ends', async () => {
    const guest = await world.boot(1, 'h1');
    await world.release(guest.address);
    await world.advance(L_MS - 5_000);
    expect(guest.address).toBeDefined();
    await world.advance(5_000);
    expect(guest.address).toBeUndefined();
    expect(guest.state.kind).toBe('selecting');
  });

  test('declines an address that somebody uses, and the reservation says so', async () => {
    const squatter = await world.boot(1, 'h1', { overstays: true });
    const address = squatter.address as Ipv4;
    // It goes on using what is not its own any more.
    await world.release(address, true);
    await world.advance(300_000);
    expect(squatter.state.kind).toBe('overstaying');
    await world.reserve(2, textOf(address));
    const guest = world.guest(2, 'h2', { probes: true });
    guest.start();
    await world.advance(2_000);
    expect(guest.state.kind).toBe('waiting');
    expect(world.disk.slot('red' as NetworkId, address)?.conflict).toMatchObject({
      kind: 'declined',
      sourceMac: guest.mac,
    });
  });
});

test('guests with clocks that are one percent wrong keep their addresses', async () => {
  world = await GuestWorld.start({ drift: 0.01 });
  const guests = [await world.boot(1, 'h1'), await world.boot(2, 'h2')];
  await world.advance(1_000_000);
  expect(guests.map(({ state }) => state.kind)).toEqual(['bound', 'bound']);
  expect(world.frames.filter((frame) => frame === '67 1')).toHaveLength(2);
});

describe('a host', () => {
  test('that stands still hears with its sockets, and answers what they hold when it goes on in time', async () => {
    const guest = await world.boot(1, world.other);
    const { process } = world.placed;
    process?.stall();
    guest.reboot();
    await world.advance(500);
    expect(guest.state.kind).toBe('rebooting');
    process?.resume();
    await world.advance(10);
    expect(guest.state.kind).toBe('bound');
  });

  test('that stands still beyond its authority answers nothing of what its sockets hold', async () => {
    const host = world.placed;
    const guest = await world.boot(1, world.other);
    // Nobody else hears the guest, and nobody else answers it.
    for (const each of world.hosts) if (each !== host) each.kill();
    world.cutOff(host.hostId);
    host.process?.stall();
    await world.advance(S_MS);
    guest.reboot();
    await world.advance(20_000);
    expect(world.side.network(host.hostId).listens('red')).toBe(true);
    const before = world.frames.length;
    host.process?.resume();
    await world.advance(1_000);
    expect(answersSince(before)).toEqual([]);
    expect(guest.state.kind).toBe('selecting');
  });

  test('that is cut off serves on until its authority ends, and not a moment longer', async () => {
    const guest = await world.boot(1, world.other);
    for (const { hostId } of world.hosts) world.cutOff(hostId);
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
    const host = world.placed;
    const guest = await world.boot(1, world.other);
    for (const each of world.hosts) if (each !== host) each.kill();
    host.powerOff();
    world.cutOff(host.hostId);
    await world.advance(1_000);
    host.boot();
    guest.reboot();
    await world.advance(10_000);
    expect(guest.isOn && guest.lease === undefined).toBe(true);
    world.mend();
    await world.advance(60_000);
    expect(guest.state.kind).toBe('bound');
  });

  test('takes its guests down with it when it loses its power, and up again', async () => {
    const guest = await world.boot(1, 'h1');
    world.host('h1').powerOff();
    expect(guest.isOn).toBe(false);
    await world.advance(1_000);
    world.host('h1').boot();
    await world.advance(10_000);
    expect(guest.state.kind).toBe('bound');
  });

  test('whose interfaces were made again serves on them', async () => {
    const host = world.placed;
    for (const each of world.hosts) if (each !== host) each.kill();
    const guest = await world.boot(1, host.hostId);
    host.unplug();
    await world.advance(3_000);
    expect(world.side.network(host.hostId).listens('red')).toBe(false);
    host.plug();
    await world.advance(10_000);
    expect(world.side.network(host.hostId).listens('red')).toBe(true);
    guest.reboot();
    await world.advance(20_000);
    expect(guest.state.kind).toBe('bound');
  });

  test('that was killed leaves its service address, and takes it away when it comes back without its placement', async () => {
    const host = world.placed;
    host.kill();
    await world.advance(30_000);
    expect(world.side.network(host.hostId).addressesOf('red')).toHaveLength(1);
    expect(world.placed).not.toBe(host);
    host.start();
    await world.advance(30_000);
    expect(world.side.network(host.hostId).addressesOf('red')).toEqual([]);
  });

  test('on a full disk serves on with what it has', async () => {
    const guest = await world.boot(1, world.other);
    world.placed.setDisk('full');
    await world.reserve(2);
    await world.advance(L_MS);
    expect(guest.state.kind).toBe('bound');
    world.placed.setDisk('good');
    await world.advance(20_000);
    const later = await world.boot(2, 'h1');
    expect(later.state.kind).toBe('bound');
  });
});

describe('a wire', () => {
  test('that carries one way only costs a guest its answers, and nothing once it is whole', async () => {
    const guest = await world.boot(1, world.other);
    world.segment.cut(world.placed.hostId, guest.place);
    guest.reboot();
    await world.advance(30_000);
    expect(guest.state.kind).toBe('selecting');
    world.segment.heal();
    await world.advance(70_000);
    expect(guest.state.kind).toBe('bound');
  });

  test('that loses, doubles and delays frames costs guests time, not addresses', async () => {
    const guests: SimulatedGuest[] = [];
    world.segment.conditions = { delayMs: [0.1, 50], loss: 0.2, duplication: 0.2 };
    for (const n of [1, 2, 3, 4]) guests.push(await world.boot(n, `h${(n % 3) + 1}`));
    await world.advance(1_200_000);
    world.segment.conditions = { delayMs: [0.1, 2], loss: 0, duplication: 0 };
    await world.advance(130_000);
    expect(guests.map(({ lease }) => lease !== undefined)).toEqual([true, true, true, true]);
  });

  test('with a stranger that says everything there is to say is silent towards it', async () => {
    const guest = await world.boot(1, 'h1');
    const addresses = [0, 0xffffffff, guest.address ?? 0, guest.lease?.server ?? 0, 0x0a000063].map((n) => n as Ipv4);
    const chance = world.chance.of('stranger');
    const stranger = new Stranger('52:54:00:00:01:01' as Mac, 'h2', world.segment, () => chance.random());
    for (let i = 0; i < 500; i++) {
      stranger.say(addresses);
      await world.advance(50);
    }
    expect(stranger.answers).toBe(0);
    expect(guest.state.kind).toBe('bound');
  });
});

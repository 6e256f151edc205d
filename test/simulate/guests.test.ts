// Guests on simulated wires, served by the product's agents and builtin backend under the product's control plane.

import { expect, test } from 'vitest';
import { GuestWorld, macOf, textOf } from './guest-world.js';

test('a guest boots, renews and keeps its address', async () => {
  const world = await GuestWorld.start(['h1', 'h2']);
  const guest = await world.boot(1, 'h2');
  expect(guest.state.kind).toBe('bound');
  const first = guest.lease;
  await world.advance(70_000);
  expect(guest.state.kind).toBe('bound');
  expect(guest.lease?.address).toBe(first?.address);
  expect(guest.lease?.sentMs).toBeGreaterThan(first?.sentMs ?? 0);
  await world.stop();
});

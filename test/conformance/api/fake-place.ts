// The SDK's fake server as a place.

import { startFakeServer } from '@leasehold/fake/fake-server';
import { readDescriptors } from '@leasehold/server/transport/reflection';
import type { ApiPlace } from './api.js';

/** Starts a fake server. */
export async function fakePlace(): Promise<ApiPlace> {
  const fake = await startFakeServer({}, readDescriptors());
  return {
    address: fake.address,
    restart: async () => {
      await fake.stop();
      await fake.start();
    },
    addHost: (hostId, networks) => fake.addHost(hostId, { networks }),
    advance: (ms) => fake.clock.advance(ms),
    remove: () => fake.close(),
  };
}

// What the SDK's package has of this workspace, in one file, with the descriptors beside it.

import { readFileSync } from 'node:fs';
import type { FakeServer, FakeServerOptions } from '@leasehold/sdk/testing';
import { parseDescriptors } from '@leasehold/server/transport/reflection';
import { startFakeServer as start } from './fake-server.js';

/** Starts a fake server. @public */
export function startFakeServer(options: FakeServerOptions): Promise<FakeServer> {
  return start(options, parseDescriptors(readFileSync(new URL('descriptors.binpb', import.meta.url))));
}

// What the build puts beside dist/testing-server.js: the control plane in one file, made of fake/src/bundle.ts.

import type { FakeServer, FakeServerOptions } from '../testing-server.js';

/** Starts a fake server. */
export function startFakeServer(options: FakeServerOptions): Promise<FakeServer>;

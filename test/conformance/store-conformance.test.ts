import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@leasehold/program/system-clock';
import { openEmbeddedStore } from '@leasehold/server/adapters/embedded/embedded-store';
import { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import { openMemoryStore } from '@leasehold/server/adapters/memory/memory-store';
import { storeConformance } from './store-conformance.js';

const SINGLE = { shared: false, tellsFirst: true };

storeConformance(
  'memory',
  async () => {
    const disk = new MemoryDisk();
    return { open: async () => openMemoryStore({ disk }), remove: async () => {} };
  },
  { features: SINGLE, runs: 40 },
);

const delay = { clock: systemClock(), writeDelayMs: 1, watchLagMs: 5 };

storeConformance(
  'memory that is shared and slow',
  async () => {
    const disk = new MemoryDisk();
    return { open: async () => openMemoryStore({ disk, shared: true, delay }), remove: async () => {} };
  },
  { features: { shared: true, tellsFirst: false }, runs: 5 },
);

const entropy = { random: Math.random, bytes: (length: number) => randomBytes(length) };

storeConformance(
  'embedded',
  async () => {
    const path = await mkdtemp(join(tmpdir(), 'leasehold-store-'));
    const broken = (error: unknown) => {
      throw error;
    };
    const options = { clock: systemClock(), entropy, onFatal: broken, onDefect: broken };
    return { open: () => openEmbeddedStore(path, options), remove: () => rm(path, { recursive: true }) };
  },
  { features: SINGLE, runs: 40 },
);

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedStore } from '@leasehold/server/adapters/embedded/embedded-store';
import { MemoryDisk, openMemoryStore } from '../fakes/memory-store.js';
import { storeConformance } from './store-conformance.js';

storeConformance('memory', async () => {
  const disk = new MemoryDisk();
  return { open: async () => openMemoryStore({ disk }), remove: async () => {} };
});

const entropy = { random: Math.random, bytes: (length: number) => randomBytes(length) };

storeConformance('embedded', async () => {
  const path = await mkdtemp(join(tmpdir(), 'leasehold-store-'));
  const broken = (error: unknown) => {
    throw error;
  };
  return {
    open: () => openEmbeddedStore(path, { entropy, onFatal: broken, onDefect: broken }),
    remove: () => rm(path, { recursive: true }),
  };
});

// The step of the build after tsc: bundles the fake server into the SDK, so that its package depends on nothing of ours.

import { copyFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

// The published dependencies of the SDK, which must be there once only: the rest of it, and its user, have them too.
const EXTERNAL = ['@grpc/grpc-js', '@bufbuild/protobuf'];

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const directory = here('../../sdk/dist/bundle');

const { metafile } = await build({
  entryPoints: [here('bundle.js')],
  outfile: `${directory}/fake-server.js`,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  external: EXTERNAL,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
});
await copyFile(
  fileURLToPath(import.meta.resolve('@leasehold/proto/descriptors.binpb')),
  `${directory}/descriptors.binpb`,
);

// A library that came along would be published unseen, without its licence.
const foreign = Object.keys(metafile.inputs).filter((path) => path.includes('node_modules/'));
if (foreign.length > 0) throw new Error(`The bundle holds libraries: ${foreign.join(', ')}`);

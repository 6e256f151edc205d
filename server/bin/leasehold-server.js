#!/usr/bin/env -S node --min-semi-space-size=16 --max-semi-space-size=64
// Under load hundreds of calls wait for the store. With the 16 MB of Node they are copied again and again by the garbage
// collector. It may grow to 64 MB; as a minimum that would cost every server the memory, and more than 300 bytes a
// reservation of a million (docs/benchmarks.md, `start`).
// Not the built file itself: npm links commands when it installs, before the first build of a checkout.
import '../dist/main.js';

#!/usr/bin/env -S node --min-semi-space-size=16 --max-semi-space-size=64
// The young generation. Under load hundreds of calls wait for the store; in the up to 16 MB that Node gives by itself the
// garbage collector copies them again and again. It begins with 16 MB, for which a million reservations leave room in their
// 300 bytes each (docs/benchmarks.md, `start`), and may grow to 64 MB; to begin with those would be more than that.
// Not the built file itself: npm links commands when it installs, before the first build of a checkout.
import '../dist/main.js';

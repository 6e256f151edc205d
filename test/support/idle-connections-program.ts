// Opens connections that never say anything, and as soon as one is closed another: `idle-connections-program HOST PORT COUNT`.
// A line of JSON four times a second: how many are open, how many were closed on it, and how often it could not connect.

import { connect } from 'node:net';

const REPORT_MS = 250;
const TRIED_AGAIN_MS = 50;

const [host = '', port = '', count = ''] = process.argv.slice(2);
const totals = { open: 0, closed: 0, refused: 0 };

function keepOne(): void {
  const socket = connect(Number(port), host);
  let wasOpen = false;
  socket.on('connect', () => {
    wasOpen = true;
    totals.open++;
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    if (wasOpen) {
      totals.open--;
      totals.closed++;
    } else {
      totals.refused++;
    }
    setTimeout(keepOne, TRIED_AGAIN_MS);
  });
  socket.resume();
}

for (let n = 0; n < Number(count); n++) keepOne();
setInterval(() => process.stdout.write(`${JSON.stringify(totals)}\n`), REPORT_MS);

import { jwtVerify } from 'jose';
import t from 'tap';
import { durationSeconds, integerBetween } from '../../cli/options.js';
import { ranges } from '../../cli/status.js';
import { signToken } from '../../cli/token.js';
import { loadSecrets } from '../../stack/state.js';
import { tempDir } from '../harness/index.js';

t.test(
  'a token carries role, subject, issuer, audience and an end, signed with the secret of the folder',
  async (t) => {
    const dir = tempDir();
    const key = new TextEncoder().encode(loadSecrets(dir).jwtSecret);
    const token = await signToken(dir, { role: 'buyer', sub: 'b-1', ttlSeconds: 90 });
    const { payload, protectedHeader } = await jwtVerify(token, key, {
      algorithms: ['HS256'],
      issuer: 'holdfast',
      audience: 'holdfast',
    });
    t.match(payload, { role: 'buyer', sub: 'b-1' });
    t.equal(payload.exp! - payload.iat!, 90);
    t.strictSame(protectedHeader, { alg: 'HS256', typ: 'JWT' });
    const other = new TextEncoder().encode(loadSecrets(tempDir()).jwtSecret);
    await t.rejects(jwtVerify(token, other), { code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' });
  },
);

t.test('where no stack ever ran there is nothing to sign with', async (t) => {
  await t.rejects(signToken(tempDir(), { role: 'admin', sub: 'me', ttlSeconds: 60 }), /No stack was ever started/);
});

t.test('durations', async (t) => {
  t.strictSame(['1', '90s', '15m', '1h', '7d'].map(durationSeconds), [1, 90, 900, 3_600, 604_800]);
  for (const wrong of ['', '0', '0h', '-1s', '1.5h', '1w', 'h', '1e3', '366d', '9999999999'])
    t.throws(() => durationSeconds(wrong), /at most 365d/, wrong);
});

t.test('whole numbers in a range', async (t) => {
  const port = integerBetween(1, 65_535);
  t.equal(port('65535'), 65_535);
  for (const wrong of ['', '0', '65536', '-1', '1.5', '0x10', '1e3', ' 80', 'http'])
    t.throws(() => port(wrong), /from 1 to/, wrong);
});

t.test('numbers as ranges', async (t) => {
  t.equal(ranges([]), '');
  t.equal(ranges([3]), '3');
  t.equal(ranges([0, 1, 2, 5, 7, 8]), '0-2, 5, 7-8');
});

/** The environment: defaults, and every mistake named at once. */
import t from 'tap';
import { ConfigError, readConfig } from '../../../server/config.js';

const good = { HOLDFAST_REDIS_URL: 'redis://127.0.0.1:7000', HOLDFAST_JWT_SECRET: 'x'.repeat(32) };

const problems = (env: NodeJS.ProcessEnv): readonly string[] => {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
};

t.test('the least that is needed', async (t) => {
  const config = readConfig(good);
  t.match(config, {
    port: 8080,
    host: '127.0.0.1',
    partitions: 64,
    ack: 'replicated',
    keyPrefix: 'hf',
    publicReads: true,
  });
  t.match(config, { jwtIssuer: 'holdfast', jwtAudience: 'holdfast', databaseUrl: undefined });
});

t.test('empty variables are absent ones', async (t) => {
  t.equal(readConfig({ ...good, HOLDFAST_PORT: '', HOLDFAST_DATABASE_URL: ' ' }).databaseUrl, undefined);
});

t.test('everything that is wrong is listed', async (t) => {
  const found = problems({
    HOLDFAST_PORT: '70000',
    HOLDFAST_PARTITIONS: '48',
    HOLDFAST_ACK: 'maybe',
    HOLDFAST_KEY_PREFIX: 'a{b}',
    HOLDFAST_JWT_SECRET: 'short',
    HOLDFAST_PUBLIC_READS: 'yes',
    HOLDFAST_JWKS_URL: 'ftp://x',
    HOLDFAST_MAX_IN_FLIGHT: '1e3',
  });
  const names = found.map((line) => line.split(' ')[0]).sort();
  t.same(names, [
    'HOLDFAST_ACK',
    'HOLDFAST_JWKS_URL',
    'HOLDFAST_JWT_SECRET',
    'HOLDFAST_KEY_PREFIX',
    'HOLDFAST_MAX_IN_FLIGHT',
    'HOLDFAST_PARTITIONS',
    'HOLDFAST_PORT',
    'HOLDFAST_PUBLIC_READS',
    'HOLDFAST_REDIS_URL',
  ]);
  t.notMatch(found.join(), /short/, 'a secret is not repeated');
});

t.test('some way to check tokens is needed', async (t) => {
  t.match(problems({ HOLDFAST_REDIS_URL: 'redis://a:1' }), [/HOLDFAST_JWT_SECRET is missing/]);
  t.same(problems({ HOLDFAST_REDIS_URL: 'redis://a:1', HOLDFAST_JWKS_URL: 'https://a/keys' }), []);
});

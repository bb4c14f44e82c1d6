import type { Command } from 'commander';

interface AclFlags {
  prefix: string;
  waitaof?: boolean;
}

export function register(program: Command): void {
  program
    .command('acl')
    .description('print an ACL file for your own Redis: a user for each role; their new passwords go to standard error')
    .option('--prefix <prefix>', 'HOLDFAST_KEY_PREFIX of the installation', 'hf')
    .option('--waitaof', 'for HOLDFAST_REPLICATED_ON_DISK; Redis before 7.2 does not start with such a file')
    .addHelpText(
      'after',
      '\nThe file is the same for every node: ./holdfast acl > users.acl, and `aclfile` in redis.conf.',
    )
    .action(async ({ prefix, waitaof }: AclFlags) => {
      const { aclLines, makeRedisPasswords, REDIS_ROLES, redisUser } = await import('../../stack/redis-users.js');
      const passwords = makeRedisPasswords();
      const lines = aclLines(prefix, passwords, waitaof);
      process.stdout.write(`${lines.join('\n')}\n`);
      const width = Math.max(...REDIS_ROLES.map((role) => redisUser(role).length));
      for (const role of REDIS_ROLES) process.stderr.write(`${redisUser(role).padEnd(width)}  ${passwords[role]}\n`);
    });
}

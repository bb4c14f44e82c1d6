import type { Command } from 'commander';

interface MigrateFlags {
  worker?: string;
  server?: string;
  reader?: string;
}

export function register(program: Command): void {
  program
    .command('migrate')
    .description('bring the database of HOLDFAST_DATABASE_URL to this version, as the owner of its tables')
    .option('--worker <role>', 'role that workers log in as: it is given what they need')
    .option('--server <role>', 'role that front ends log in as')
    .option('--reader <role>', 'role for verify and reports')
    .action(async (roles: MigrateFlags) => {
      const url = process.env.HOLDFAST_DATABASE_URL;
      if (!url) throw new Error('HOLDFAST_DATABASE_URL is not set: name the database, with the owner of its tables.');
      const { migrate } = await import('../../workers/db/migrate.js');
      const { grantRoles } = await import('../../workers/db/roles.js');
      const applied = await migrate(url);
      await grantRoles(url, roles);
      const what = applied.length > 0 ? `migrations ${applied.join(', ')} applied` : 'nothing to migrate';
      const given = Object.values(roles as Record<string, string>);
      process.stdout.write(`${what}${given.length > 0 ? `; rights given to ${given.join(', ')}` : ''}\n`);
    });
}

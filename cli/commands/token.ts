import { type Command, InvalidArgumentError, Option } from 'commander';
import { dataOption, durationSeconds } from '../options.js';

interface TokenOptions {
  data: string;
  role: 'admin' | 'service' | 'buyer';
  sub: string;
  ttl: number;
}

function subject(text: string): string {
  if (!/^[A-Za-z0-9._~-]{1,128}$/.test(text)) throw new InvalidArgumentError('Must be 1 to 128 of A-Z a-z 0-9 . _ - ~');
  return text;
}

export function register(program: Command): void {
  program
    .command('token')
    .description('print a JWT for the local stack')
    .addOption(dataOption())
    .addOption(
      new Option('--role <role>', 'what it may do').choices(['admin', 'service', 'buyer']).makeOptionMandatory(),
    )
    .requiredOption('--sub <id>', 'who it stands for; a buyer acts as this id', subject)
    .option('--ttl <duration>', 'how long it is valid: 90s, 15m, 1h, 7d', durationSeconds, 3_600)
    .action(async ({ data, role, sub, ttl }: TokenOptions) => {
      const { signToken } = await import('../token.js');
      process.stdout.write(`${await signToken(data, { role, sub, ttlSeconds: ttl })}\n`);
    });
}

import { resolve } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import { defaultDataDir } from '../stack/project.js';

/** The folder of the local stack; every command about one takes it. */
export function dataOption(): Option {
  return new Option('--data <dir>', 'data folder of the stack')
    .default(defaultDataDir(), '.holdfast in the project')
    .argParser((dir) => resolve(dir));
}

/** Parses an integer option and refuses everything else with the range in the message. */
export function integerBetween(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < low || value > high)
      throw new InvalidArgumentError(`Must be a whole number from ${low} to ${high}.`);
    return value;
  };
}

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 };
const LONGEST_SECONDS = 365 * 86_400;

/** `90s`, `15m`, `1h`, `7d` or plain seconds, in seconds. */
export function durationSeconds(text: string): number {
  const match = /^(\d{1,9})([smhd]?)$/.exec(text);
  const seconds = match ? Number(match[1]) * (UNITS[match[2] || 's'] ?? 0) : 0;
  if (seconds < 1 || seconds > LONGEST_SECONDS)
    throw new InvalidArgumentError('Must be like 90s, 15m, 1h or 7d, at most 365d.');
  return seconds;
}

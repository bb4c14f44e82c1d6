/** Numbers for people. */
import type { Goal } from '../lib/types.js';

export function number(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString('en-US');
  return size >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function withUnit(value: number, unit: string): string {
  if (unit === '') return number(value);
  return unit === '/s' ? `${number(value)}/s` : `${number(value)} ${unit}`;
}

export function reached({ value, target, met, unit }: Goal): string {
  const share = target === 0 ? '' : `, ${Math.round((value / target) * 100)} % of it`;
  return `${withUnit(value, unit)} (${met ? 'met' : `missed${share}`})`;
}

const number = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** 12,345 */
export const int = (value: number): string => number.format(value);

/** Milliseconds with what digits are worth. */
export const millis = (value: number): string => (value < 10 ? value.toFixed(1) : value.toFixed(0));

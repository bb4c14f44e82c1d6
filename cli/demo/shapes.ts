/** The parts of the server's answers that the demo looks at. */

export interface Level {
  location: string;
  sku: string;
  available: number;
  reserved: number;
  sold: number;
  version: number;
}

export interface Line {
  location: string;
  sku: string;
  quantity: number;
}

export interface Reservation {
  reservationId: string;
  status: 'held' | 'confirmed' | 'released' | 'expired' | 'returned';
  lines: (Line & { returned: number })[];
  expiresAt: string;
  expiresInSeconds: number;
}

export const stockPath = ({ location, sku }: { location: string; sku: string }): string =>
  `/v1/stock/${location}/${sku}`;

export const nameOf = ({ location, sku }: { location: string; sku: string }): string => `${location}:${sku}`;

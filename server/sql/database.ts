/**
 * What the server reads from Postgres: the audit trail, the export, and reservations that Redis has forgotten. It never
 * writes there, and nothing on the way of a sale waits for it: without a database only these answers are missing.
 */
import pg from 'pg';
import type { Partitions } from '../../engine/partitions.js';
import type { ItemRef, Reservation } from '../../engine/types.js';
import { problem } from '../http/problems.js';
import { readExport, type ExportedItem } from './export.js';
import { readMovements, type MovementCursor, type MovementRow } from './movements.js';
import { readReservation } from './reservation.js';

export type Query = <R extends pg.QueryResultRow>(text: string, values: readonly unknown[]) => Promise<R[]>;

const CONNECTIONS = 4;
const CONNECT_MS = 2_000;
const STATEMENT_MS = 5_000;

export class Database {
  private readonly pool: pg.Pool;

  constructor(
    url: string,
    private readonly partitions: Partitions,
    private readonly onError: (error: Error) => void,
  ) {
    this.pool = new pg.Pool({
      connectionString: url,
      max: CONNECTIONS,
      connectionTimeoutMillis: CONNECT_MS,
      statement_timeout: STATEMENT_MS,
      query_timeout: STATEMENT_MS,
      application_name: 'holdfast-server',
      options: '-c default_transaction_read_only=on',
    });
    // An idle connection that breaks is replaced by the pool; unheard, its error would end the process.
    this.pool.on('error', onError);
  }

  movements(item: ItemRef, after: MovementCursor | undefined, limit: number): Promise<MovementRow[]> {
    return readMovements(this.query, item, after, limit);
  }

  exportItems(after: string | undefined, limit: number): Promise<ExportedItem[]> {
    return readExport(this.query, after, limit);
  }

  findReservation(id: string): Promise<Reservation | undefined> {
    return readReservation(this.query, this.partitions, id);
  }

  /** Whether Postgres answers; never rejects. */
  async reachable(): Promise<boolean> {
    try {
      await this.query('SELECT 1', []);
      return true;
    } catch {
      return false;
    }
  }

  close(): Promise<void> {
    return this.pool.end();
  }

  private readonly query: Query = async <R extends pg.QueryResultRow>(text: string, values: readonly unknown[]) => {
    try {
      return (await this.pool.query<R>(text, values as unknown[])).rows;
    } catch (error) {
      this.onError(error as Error);
      throw problem('database_unavailable');
    }
  };
}

/**
 * Who is measured.
 */
import { readFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Family } from "./Workload.js"

/** A module in `peers/`. */
export interface PeerEntry {
  readonly name: string
  readonly family: Family
  /** The published package whose version is told; `undefined` for the one in this repository. */
  readonly package: string | undefined
  /** The ratios of its family are to this one. */
  readonly baseline?: boolean
  /** It exists for these workloads only. */
  readonly only?: ReadonlyArray<string>
  /** A module of Node's that it needs: where this Node has none, the peer is left out, and that is said. */
  readonly needs?: string
}

/** Every peer, in the order in which they are printed. */
export const peers: ReadonlyArray<PeerEntry> = [
  { name: "pg", family: "postgresql", package: "pg", baseline: true },
  { name: "dblive", family: "postgresql", package: undefined },
  { name: "dblive-traced", family: "postgresql", package: undefined, only: ["W1"] },
  { name: "pg-named", family: "postgresql", package: "pg" },
  { name: "postgres", family: "postgresql", package: "postgres" },
  { name: "effect-sql-pg", family: "postgresql", package: "@effect/sql-pg" },
  { name: "effect-pool", family: "postgresql", package: "effect", only: ["W6.free", "W6.contended"] },
  { name: "effect-floor", family: "postgresql", package: "effect", only: ["W6.free", "W6.contended"] },
  { name: "kysely", family: "postgresql", package: "kysely" },
  { name: "drizzle", family: "postgresql", package: "drizzle-orm" },
  { name: "knex", family: "postgresql", package: "knex" },
  { name: "typeorm", family: "postgresql", package: "typeorm" },
  { name: "slonik", family: "postgresql", package: "slonik" },
  { name: "better-sqlite3", family: "sqlite", package: "better-sqlite3", baseline: true },
  { name: "dblive-sqlite", family: "sqlite", package: undefined },
  { name: "dblive-node-sqlite", family: "sqlite", package: undefined, needs: "node:sqlite" },
  { name: "dblive-sqlite-worker", family: "sqlite", package: undefined },
  { name: "better-sqlite3-worker", family: "sqlite", package: "better-sqlite3" },
  { name: "effect-sql-sqlite", family: "sqlite", package: "@effect/sql-sqlite-node" },
  { name: "kysely-sqlite", family: "sqlite", package: "kysely" }
]

const here = dirname(fileURLToPath(import.meta.url))

/** The version of a peer's package, as it is installed. */
export const versionOf = async (peer: PeerEntry): Promise<string> => {
  const folders = peer.package === undefined
    ? [dirname(here)]
    : [join(here, "node_modules", peer.package), join(dirname(here), "node_modules", peer.package)]
  for (const folder of folders) {
    try {
      return String(JSON.parse(await readFile(join(folder, "package.json"), "utf8")).version)
    } catch {
      // the next place
    }
  }
  throw new Error(`${peer.package} is not installed: run "npm ci" in benchmark/`)
}

/**
 * Who is measured.
 */
import { readFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Family } from "./Workload.js"

/** A module in `peers/`, or in a folder of its own. */
export interface PeerEntry {
  readonly name: string
  readonly family: Family
  /** The published package whose version is told; `undefined` for the one in this repository. */
  readonly package: string | undefined
  /** The ratios of its family are to this one. */
  readonly baseline?: boolean
  /** It exists for these workloads only. */
  readonly only?: ReadonlyArray<string>
  /** The folder of its module, with packages of its own. Defaults to `peers`, which has those of the benchmark. */
  readonly folder?: string
  /** What it needs: a module of Node's, or what `npm run edition:4` makes. Where that is not here, the peer is left out. */
  readonly needs?: "node:sqlite" | "the edition for Effect 4"
}

/** Every peer, in the order in which they are printed. */
export const peers: ReadonlyArray<PeerEntry> = [
  { name: "pg", family: "postgresql", package: "pg", baseline: true },
  { name: "dblive", family: "postgresql", package: undefined },
  {
    name: "dblive-unshared",
    family: "postgresql",
    package: undefined,
    only: ["W1", "W1.16", "W1.1000", "W7", "W8.busy", "W8.turn"]
  },
  { name: "dblive-traced", family: "postgresql", package: undefined, only: ["W1"] },
  { name: "pg-named", family: "postgresql", package: "pg" },
  { name: "postgres", family: "postgresql", package: "postgres" },
  { name: "effect-sql-pg", family: "postgresql", package: "@effect/sql-pg" },
  { name: "effect4-sql-pg", family: "postgresql", package: "@effect/sql-pg", folder: "effect4" },
  { name: "effect4-sql-pg-multiplex", family: "postgresql", package: "@effect/sql-pg", folder: "effect4" },
  { name: "effect4-dblive", family: "postgresql", package: undefined, folder: "effect4", needs: "the edition for Effect 4" },
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

/** Where a peer's module is, beside this one. */
export const moduleOf = (name: string): string =>
  `./${peers.find((peer) => peer.name === name)?.folder ?? "peers"}/${name}.js`

/** The version of a peer's package, as it is installed. */
export const versionOf = async (peer: PeerEntry): Promise<string> => {
  const places = peer.folder === undefined ? [here, dirname(here)] : [join(here, peer.folder)]
  const folders = peer.package === undefined
    ? [dirname(here)]
    : places.map((place) => join(place, "node_modules", peer.package!))
  for (const folder of folders) {
    try {
      return String(JSON.parse(await readFile(join(folder, "package.json"), "utf8")).version)
    } catch {
      // the next place
    }
  }
  throw new Error(
    `${peer.name}: ${peer.package} is not installed: run "npm ci" in ${["benchmark", peer.folder ?? ""].join("/")}`
  )
}

/**
 * What tells one set of migrations from another.
 */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type { MigrationError } from "../DbMigrator.js"
import { isSource, type Preparation } from "./prepare.js"

/** What the migrations are, in short; `undefined` where that cannot be known. */
export const hashOf = <Self, Provided, E, R, E2, R2>(
  options: Preparation<Self, Provided, E, R, E2, R2> & { readonly hash?: string | undefined },
  name: string
): Effect.Effect<string | undefined, MigrationError, R> =>
  Effect.gen(function*() {
    const { hash, migrations } = options
    const digest = createHash("sha256").update(`1\n${hash ?? ""}\n`)
    if (migrations === undefined) {
      return undefined
    }
    if (!isSource(migrations)) {
      return hash === undefined ? undefined : digest.digest("hex")
    }
    const found = yield* migrations.load({ database: name, placeholders: {} })
    const isKnown = found.every(({ checksum }) => checksum !== undefined)
    digest.update(JSON.stringify(found.map(({ checksum, script }) => [script, checksum]).sort()))
    // An effect without a checksum may be another one in the next run, but not in this.
    digest.update(isKnown ? "" : `run ${process.env["VITEST"] === undefined ? process.pid : process.ppid}`)
    return digest.digest("hex")
  })

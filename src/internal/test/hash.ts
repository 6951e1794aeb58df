/**
 * What tells one set of migrations from another.
 */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type * as DbConfig from "../../DbConfig.js"
import type { MigrationError } from "../../DbMigrator.js"
import { isSource, type Preparation, type Rest } from "./prepare.js"

/** What of a database's options shapes what its migrations make. */
const shape = ({ settings, transformQueryNames, username }: DbConfig.Options): string =>
  // By its text, which is the same in all processes.
  JSON.stringify([settings, transformQueryNames === undefined ? null : String(transformQueryNames), username])

/** What the migrations make, in short; `undefined` where there are none, or that cannot be known. */
export const hashOf = <Self, Provided, E, R, E2, R2>(
  options: Preparation<Self, Provided, E, R, E2, R2> & { readonly options?: DbConfig.Options | undefined },
  name: string
): Effect.Effect<string | undefined, MigrationError, Rest<Self, R>> =>
  Effect.gen(function*() {
    const { hash, migrations } = options
    const digest = createHash("sha256").update(`1\n${hash ?? ""}\n${shape(options.options ?? {})}\n`)
    if (migrations === undefined) {
      return undefined
    }
    if (!isSource(migrations)) {
      return hash === undefined ? undefined : digest.digest("hex")
    }
    const found = yield* migrations.load({ database: name, placeholders: {} })
    // An effect without a checksum may be another one in the next run, or in the next file.
    return hash === undefined && found.some(({ checksum }) => checksum === undefined)
      ? undefined
      : digest.update(JSON.stringify(found.map(({ checksum, script }) => [script, checksum]).sort())).digest("hex")
    // They are only loaded, which takes neither a database nor its client.
  }) as Effect.Effect<string | undefined, MigrationError, Rest<Self, R>>

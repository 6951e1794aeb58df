/** An error of another client, which is made in another form in Effect 4. */
import { SqlError } from "@effect/sql/SqlError"

export const foreignError = (cause: unknown, message = "theirs"): SqlError => new SqlError({ cause, message })

/** An error of another client, which is made in another form in Effect 3. */
import { SqlError, UnknownError } from "effect/sql/SqlError"

export const foreignError = (cause: unknown, message = "theirs"): SqlError =>
  new SqlError({ reason: new UnknownError({ cause, message }) })

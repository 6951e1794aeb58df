// Made by `dblive check --write` from SQL files and the schema of the migrations. Do not edit it: it is made anew.
/* eslint-disable */
import { Db } from "../../src/index.js"

/** A row of {@link activity}. */
export interface ActivityRow {
  readonly name: string
  readonly posts: number
  readonly last: string | null
}

/**
 * How many posts each user has, and the last title by the alphabet.
 *
 * The statement of `queries/posts.sql`.
 */
export const activity = () =>
  Db.query<ActivityRow>(`SELECT u.name, count(p.id) AS posts, max(p.title) AS last
FROM users u LEFT JOIN posts p ON p.user_id = u.id
GROUP BY u.id
ORDER BY u.name`)

/** What {@link addPost} takes. */
export interface AddPostParams {
  readonly userId: number | bigint
  readonly title: string
}

/** A row of {@link addPost}. */
export interface AddPostRow {
  readonly id: number
}

/**
 * Writes a post, and gives its number.
 *
 * The statement of `queries/posts.sql`.
 */
export const addPost = (params: AddPostParams) =>
  Db.one<AddPostRow>("INSERT INTO posts (user_id, title) VALUES (:userId, :title) RETURNING id", { userId: params.userId, title: params.title })

/** What {@link addUser} takes. */
export interface AddUserParams {
  readonly name: string
  readonly email: string | null
}

/** The statement of `queries/posts.sql`. */
export const addUser = (params: AddUserParams) =>
  Db.execute("INSERT INTO users (name, email) VALUES (:name, :email)", { name: params.name, email: params.email })

/** What {@link findUser} takes. */
export interface FindUserParams {
  readonly email: string
}

/** A row of {@link findUser}. */
export interface FindUserRow {
  readonly id: number
  readonly name: string
  readonly email: string | null
}

/**
 * The user of an address, if there is one.
 *
 * The statement of `queries/find-user.sql`.
 */
export const findUser = (params: FindUserParams) =>
  Db.option<FindUserRow>("SELECT id, name, email FROM users WHERE email = :email", { email: params.email })

/** What {@link postsOf} takes. */
export interface PostsOfParams {
  readonly userIds: ReadonlyArray<number | bigint>
}

/** A row of {@link postsOf}. */
export interface PostsOfRow {
  readonly id: number
  readonly title: string
}

/** The statement of `queries/posts.sql`. */
export const postsOf = (params: PostsOfParams) =>
  Db.query<PostsOfRow>("SELECT id, title FROM posts WHERE user_id IN (:userIds) ORDER BY id", { userIds: params.userIds })

-- name: addPost :one
-- Writes a post, and gives its number.
INSERT INTO posts (user_id, title) VALUES (:userId, :title) RETURNING id;

-- name: postsOf
SELECT id, title FROM posts WHERE user_id IN (:userIds) ORDER BY id;

-- name: activity :many
-- How many posts each user has, and the last title by the alphabet.
-- @type last string
SELECT u.name, count(p.id) AS posts, max(p.title) AS last
FROM users u LEFT JOIN posts p ON p.user_id = u.id
GROUP BY u.id
ORDER BY u.name;

-- name: addUser :execute
INSERT INTO users (name, email) VALUES (:name, :email);

-- insert_organization: a new organization, or no row where the name is taken
INSERT INTO organizations (id, name, time_zone, created_by, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO NOTHING RETURNING id;

-- find_organization: one by id
SELECT id, name, time_zone, created_by, created_at FROM organizations WHERE id = $1;

-- find_organization_by_name: one by name
SELECT id, name, time_zone, created_by, created_at FROM organizations WHERE name = $1;

-- list_organizations: all, by name
SELECT id, name, time_zone, created_by, created_at FROM organizations ORDER BY name;

-- rename_organization: no row where the name is taken by another one
UPDATE organizations SET name = $2
WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM organizations AS other WHERE other.name = $2 AND other.id <> $1)
RETURNING id;

CREATE TRIGGER holds_forgotten AFTER DELETE ON holds
FOR EACH ROW WHEN (OLD.state IN (2, 5)) EXECUTE FUNCTION keep_bought()
